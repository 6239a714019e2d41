#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vault/custody/all_custodians.h"
#include "vault/storage/file.h"

namespace casevault {

// What custodians say that they did for a vault: docs/custody-protocol.md section 3, `GET /v1/statement`.

struct CustodianLogEntry {
  std::string action;
  std::int64_t at_ms = 0;
  std::string device;  // key, hex; may be empty
  std::optional<CustodyId> id;
  std::uint64_t index = 0;
  std::string outcome;
};

struct CustodianStatement {
  CustodianAddress custodian;
  std::string fault;  // why there is none; empty when there is one, checked
  std::vector<CustodianLogEntry> entries;
  std::size_t cases = 0;           // of which it holds a key share, or held when the vault was destroyed
  std::uint32_t threshold = 0;     // how many custodians it takes, by the policy it was given
  std::string state;               // of the vault there: "active", "locked", "destroyed"
  std::vector<std::string> pages;  // as they came, each signed by the custodian
};

/// Of every custodian, both ends included; signatures and the proofs of all entries are checked. `by`: an owner, a card
/// or a device; devices are not told of alarms. Never throws for want of custodians.
std::vector<CustodianStatement> ask_for_statements(AllCustodians& all, std::int64_t from_ms, std::int64_t until_ms,
                                                   const SigningKey& by);

/// What ids and devices are called by who asks.
struct StatementNames {
  std::function<std::string(const CustodyId& id)> object;
  std::function<std::optional<std::int64_t>(const CustodyId& id)> case_number;
  std::function<std::string(const std::string& key)> device;
};
/// As a card knows them: cases by their numbers, nobody by name.
StatementNames names_on_card(const CustodySalt& salt);

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
  std::vector<std::string> answered;  // names
  std::vector<std::string> states;    // of the vault, in the same order
  std::vector<std::string> silent;
  std::size_t cases = 0;  // that are under these custodians
  /// Of these: whose share enough custodians gave out, counting each silent one as if it had.
  std::vector<std::int64_t> cases_released;
  std::vector<std::int64_t> not_covered;  // cases of which these custodians hold nothing; a card knows of none
  /// So many answered that no others could have released anything: more than all less the threshold.
  bool enough = false;
};
/// `threshold`: of the plan; 0: the least that any of them names.
CustodyStatement sum_up(const std::vector<CustodianStatement>& statements, const StatementNames& names,
                        std::uint32_t threshold);

/// The signed pages, for whoever does not take our word: `1-NAME.jsonl` in a new folder, one page in a line.
/// @throws Error{kUsage} when the folder is there already.
void write_statements(const Path& folder, const std::vector<CustodianStatement>& statements);

}  // namespace casevault
