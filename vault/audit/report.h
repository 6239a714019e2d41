#pragma once
#include <optional>
#include <string>
#include <vector>

#include "vault/vault.h"

namespace casevault {

/// One entry as auditors read it.
struct AuditEntry {
  std::uint64_t index = 0;   // its leaf in the tree, from 0
  std::int64_t time_ms = 0;  // Unix milliseconds, UTC, by the writer's clock; the order is the index
  std::string user;          // name; empty where nobody was unlocked
  std::string device;
  std::string action;
  std::string objects;
  std::string outcome;
};

struct AuditFilter {
  std::optional<std::int64_t> since_ms;
  std::string user;
  std::int64_t case_number = 0;  // 0: all
  std::string action;
};

/// Owners and auditors only; the refusal of others is logged.
std::vector<AuditEntry> show_audit(Session& session, const AuditFilter& filter);

/// One thing that `verify` or `audit verify` has to say.
struct Finding {
  enum class Weight { kNote, kBad };
  Weight weight = Weight::kBad;
  std::string object;   // the file, case, record or entry
  std::string meaning;  // what it means, and what to do
};

struct AuditVerification {
  std::uint64_t entries = 0;
  std::string root_hex;           // of the tree
  bool contents_checked = false;  // signatures and order inside the entries: only owners and auditors can
  std::vector<Finding> findings;
};

/// The tree against everything in the vault that cites it; for owners and auditors also each entry's seal and
/// signature.
AuditVerification verify_audit(Session& session);

}  // namespace casevault
