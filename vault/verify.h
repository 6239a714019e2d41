#pragma once
#include <functional>

#include "vault/audit/report.h"

namespace casevault {

struct VerifyResult {
  std::vector<Finding> findings;  // bad ones first
  std::size_t cases_checked = 0;
  std::size_t cases_closed_to_me = 0;  // cases the user has no grant for: only their files' presence was checked
  std::size_t versions_checked = 0;
  std::size_t bodies_checked = 0;
  std::size_t bodies_absent = 0;  // never fetched, in a vault that was restored in part
  std::uint64_t audit_entries = 0;
  bool clean() const;
};

/// Every signature, grant, chain, row, hash, chunk and log entry that the user's keys reach; `quick` leaves out the
/// content of bodies. `progress` gets bytes done and in all. Goes on after each finding.
VerifyResult verify_vault(Session& session, bool quick,
                          const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace casevault
