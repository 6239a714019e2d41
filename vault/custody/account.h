#pragma once
#include <string>
#include <vector>

#include "vault/custody/enrolment.h"
#include "vault/custody/statement.h"

namespace casevault {

struct CustodianStanding {
  std::string name;
  std::string place;
  std::string address;
  bool reached = false;
  std::string state;            // "active", "locked", "destroyed", or why it was not reached; a few plain words
  std::int64_t silence_ms = 0;  // from when on silence locks the vault there; 0: never, or not known
};

/// How the vault stands with its custodians.
struct CustodyAccount {
  std::uint32_t threshold = 0;  // 0: no custody
  std::uint32_t quorum = 0;
  std::size_t cards = 0;
  std::uint32_t lease_hours = 0;
  std::string device;  // this machine's name; empty when the custodians do not know it
  std::vector<CustodianStanding> custodians;
  CustodyProgress progress;
};
/// Asks every custodian. Logged.
CustodyAccount custody_account(Session& session);

/// When silence locks the vault, should no guard be heard before: where the first of the custodians does.
/// 0: never, or none was reached. Asks only where there is a lease.
std::int64_t silence_locks_at(Session& session);

/// For owners. Each custodian's account is checked: its signature, and every entry's place in its signed log; that
/// nothing was left out is its word. Written into `out` as it came, where that is not empty. Logged.
/// @throws Error{kUsage} without custody.
CustodyStatement custody_statement(Session& session, std::int64_t from_ms, std::int64_t until_ms, const Path& out = {});

}  // namespace casevault
