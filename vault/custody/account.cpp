#include "vault/custody/account.h"

#include <map>

#include "vault/access/session_keys.h"
#include "vault/custody/client.h"
#include "vault/custody/device.h"
#include "vault/custody/shares.h"
#include "vault/records/export_folder.h"
#include "vault/storage/catalog_state.h"

namespace casevault {
namespace {

/// What the ids in a custodian's log stand for here.
StatementNames names_in_vault(const CatalogState& state, const CustodyPlan& plan, const VerifyKey& own_device) {
  std::map<CustodyId, std::string> names;
  std::map<CustodyId, std::int64_t> cases;
  for (const auto& [number, entry] : state.cases()) {
    const auto name = "C-" + std::to_string(number);
    const auto id = custody_id(plan.salt, ScopeKind::kCase, name);
    names[id] = name;
    cases[id] = number;
  }
  for (const auto& [id, user] : state.users())
    names[custody_id(plan.salt, ScopeKind::kUser, user.keys.name)] = user.keys.name;
  names[custody_id(plan.salt, ScopeKind::kUser, "")] = "the catalogue";
  const auto object = [names = std::move(names)](const CustodyId& id) {
    const auto found = names.find(id);
    return found == names.end() ? to_hex(id).substr(0, 8) : found->second;
  };
  const auto case_number = [cases = std::move(cases)](const CustodyId& id) -> std::optional<std::int64_t> {
    const auto found = cases.find(id);
    return found == cases.end() ? std::nullopt : std::optional(found->second);
  };
  const auto device = [own = to_hex(own_device.bytes)](const std::string& key) {
    return key == own ? "this machine" : key.substr(0, 8);
  };
  return {object, case_number, device};
}

}  // namespace

CustodyAccount custody_account(Session& session) {
  session.record("custody-status", "");
  CustodyAccount account;
  account.progress = custody_progress(session);
  const auto* plan = shown_plan(session);
  if (plan == nullptr) return account;
  account.threshold = plan->threshold;
  account.quorum = plan->quorum;
  account.cards = plan->cards.size();
  account.lease_hours = plan->lease_hours;
  const auto device = load_device(session.environment(), session.keys().shown_header().vault_id);
  if (device) account.device = device->name;
  for (const auto& standing : shown_custodians(session).standings()) {
    const auto& custodian = standing.custodian;
    account.custodians.push_back(
        {custodian.name, custodian.place, custodian.address, standing.reached, standing.state, standing.silence_ms});
  }
  return account;
}

std::int64_t silence_locks_at(Session& session) {
  const auto* plan = shown_plan(session);
  if (plan == nullptr || plan->lease_hours == 0) return 0;
  std::int64_t first = 0;
  for (const auto& standing : shown_custodians(session).standings()) {
    if (standing.silence_ms != 0 && (first == 0 || standing.silence_ms < first)) first = standing.silence_ms;
  }
  return first;
}

CustodyStatement custody_statement(Session& session, std::int64_t from_ms, std::int64_t until_ms, const Path& out) {
  if (session.role() != Role::kOwner) session.refuse("custody-statement", "", "only an owner of the vault may do this");
  session.record("custody-statement", "");
  const auto& state = session.state();
  const auto* plan = session.keys().header.custody_of(state.custody_epoch());
  if (plan == nullptr) throw Error(Errc::kUsage, "this vault is not under custody", "casevault help custody enroll");
  if (!out.empty()) refuse_inside_vault(session.folder(), out, "the statements");
  auto& custodians = custodians_of(session, plan->epoch);
  const auto statements = custodians.statements(from_ms, until_ms, session.identity().signing);
  if (!out.empty()) write_statements(out, statements);
  auto sum = sum_up(statements, names_in_vault(state, *plan, custodians.device_key()), plan->threshold);
  sum.cases = 0;
  for (const auto& [number, entry] : state.cases()) {
    if (entry.custody_epoch == plan->epoch) {
      ++sum.cases;
    } else {
      sum.not_covered.push_back(number);
    }
  }
  return sum;
}

}  // namespace casevault
