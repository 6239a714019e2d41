#include "vault/custody/account.h"

#include <algorithm>
#include <map>
#include <set>

#include "vault/access/session_keys.h"
#include "vault/custody/client.h"
#include "vault/custody/device.h"
#include "vault/custody/shares.h"
#include "vault/storage/catalog_state.h"

namespace casevault {
namespace {

/// What the ids in a custodian's log stand for here.
class Names {
 public:
  Names(const CatalogState& state, const CustodyPlan& plan, const VerifyKey& own_device) : own_device_(own_device) {
    for (const auto& [number, entry] : state.cases()) {
      const auto name = "C-" + std::to_string(number);
      const auto id = custody_id(plan.salt, ScopeKind::kCase, name);
      names_[id] = name;
      cases_[id] = number;
    }
    for (const auto& [id, user] : state.users())
      names_[custody_id(plan.salt, ScopeKind::kUser, user.keys.name)] = user.keys.name;
  }
  std::string name_of(const CustodyId& id) const {
    const auto found = names_.find(id);
    return found == names_.end() ? to_hex(id).substr(0, 8) : found->second;
  }
  std::optional<std::int64_t> case_of(const CustodyId& id) const {
    const auto found = cases_.find(id);
    if (found == cases_.end()) return std::nullopt;
    return found->second;
  }
  std::string device_of(const std::string& key) const {
    return key == to_hex(own_device_.bytes) ? "this machine" : key.substr(0, 8);
  }

 private:
  VerifyKey own_device_;
  std::map<CustodyId, std::string> names_;
  std::map<CustodyId, std::int64_t> cases_;
};

}  // namespace

CustodyAccount custody_account(Session& session) {
  session.record("custody-status", "");
  CustodyAccount account;
  account.progress = custody_progress(session);
  const auto& header = session.keys().header;
  const auto* plan = header.custody_of(session.state().custody_epoch());
  if (plan == nullptr) return account;
  account.threshold = plan->threshold;
  account.quorum = plan->quorum;
  account.cards = plan->cards.size();
  account.lease_hours = plan->lease_hours;
  const auto device = load_device(session.environment(), header.vault_id);
  if (device) account.device = device->name;
  for (const auto& standing : custodians_of(session, plan->epoch).standings()) {
    const auto& custodian = standing.custodian;
    account.custodians.push_back(
        {custodian.name, custodian.place, custodian.address, standing.reached, standing.state});
  }
  return account;
}

CustodyStatement custody_statement(Session& session, std::int64_t from_ms, std::int64_t until_ms) {
  if (session.role() != Role::kOwner) session.refuse("custody-statement", "", "only an owner of the vault may do this");
  session.record("custody-statement", "");
  const auto& state = session.state();
  const auto* plan = session.keys().header.custody_of(state.custody_epoch());
  if (plan == nullptr) throw Error(Errc::kUsage, "this vault is not under custody", "casevault help custody enroll");
  auto& custodians = custodians_of(session, plan->epoch);
  const Names names(state, *plan, custodians.device_key());
  CustodyStatement statement;
  statement.cases = state.cases().size();
  std::map<std::int64_t, std::size_t> releases;  // custodians, by case
  for (const auto& account : custodians.statements(from_ms, until_ms, session.identity().signing)) {
    if (!account.fault.empty()) {
      statement.silent.push_back(account.custodian.name + " (" + account.fault + ")");
      continue;
    }
    statement.answered.push_back(account.custodian.name);
    std::set<std::int64_t> released;
    for (const auto& entry : account.entries) {
      const auto object = entry.id ? names.name_of(*entry.id) : std::string();
      const auto number = entry.id ? names.case_of(*entry.id) : std::nullopt;
      if (entry.action == "release" && entry.outcome == "ok" && number) released.insert(*number);
      statement.entries.push_back({entry.at_ms, account.custodian.name, entry.action, object,
                                   entry.device.empty() ? "" : names.device_of(entry.device), entry.outcome});
    }
    for (const auto number : released) ++releases[number];
  }
  for (const auto& [number, count] : releases) {
    if (count + statement.silent.size() >= plan->threshold) statement.cases_released.push_back(number);
  }
  statement.enough = statement.answered.size() + plan->threshold > plan->custodians.size();
  std::ranges::stable_sort(statement.entries, {}, &StatementEntry::time_ms);
  return statement;
}

}  // namespace casevault
