#pragma once
#include <string>
#include <vector>

#include "vault/custody/enrolment.h"

namespace casevault {

struct CustodianStanding {
  std::string name;
  std::string place;
  std::string address;
  bool reached = false;
  std::string state;  // "active", "locked", "destroyed", or why it was not reached; a few plain words
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

struct StatementEntry {
  std::int64_t time_ms = 0;  // by the custodian's clock
  std::string custodian;
  std::string action;
  std::string object;  // "C-3", a user's name, or empty
  std::string device;  // "this machine", or the first 8 hex digits of its key
  std::string outcome;
};

/// What the custodians released in an interval, by their own signed logs.
struct CustodyStatement {
  std::vector<StatementEntry> entries;
  std::vector<std::string> answered;
  std::vector<std::string> silent;
  std::size_t cases = 0;
  /// Cases whose share enough custodians gave out, counting each silent one as if it had.
  std::vector<std::int64_t> cases_released;
  /// So many answered that no others could have released anything: more than all less the threshold.
  bool enough = false;
};
/// For owners. Each custodian's account is checked: its signature, and every entry's place in its signed log; that
/// nothing was left out is its word. Logged. @throws Error{kUsage} without custody.
CustodyStatement custody_statement(Session& session, std::int64_t from_ms, std::int64_t until_ms);

}  // namespace casevault
