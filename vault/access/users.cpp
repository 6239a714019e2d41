#include "vault/access/users.h"

#include <algorithm>

#include "crypto/random.h"
#include "vault/access/case_access.h"
#include "vault/access/catalog_rotation.h"
#include "vault/access/handover.h"
#include "vault/access/join.h"
#include "vault/access/role_keys.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/access/unlock.h"
#include "vault/audit/log.h"
#include "vault/custody/dealing.h"
#include "vault/custody/enrolment.h"
#include "vault/records/objects.h"
#include "vault/sharing/organisation.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

void require_owner(Session& session, std::string_view action, const std::string& object) {
  if (session.role() != Role::kOwner) session.refuse(action, object, "only an owner of the vault may do this");
}

/// Requests of people who are in the vault already were left by a crash; their slots would still open with the
/// passphrase of then.
PendingJoins open_requests(Session& session, const RoleKeys& role_keys) {
  auto pending = read_join_requests(session.folder(), session.keys().header.vault_id, role_keys.audit);
  std::erase_if(pending.requests, [&](const PendingJoin& p) {
    return session.state().find_user(p.request.keys.id) != nullptr && destroy_request(p.path);
  });
  return pending;
}

PendingJoin find_request(Session& session, const RoleKeys& role_keys, const std::string& name) {
  auto pending = open_requests(session, role_keys);
  std::erase_if(pending.requests, [&](const PendingJoin& p) { return p.request.keys.name != name; });
  if (pending.requests.empty()) {
    throw Error(Errc::kNotFound, "nobody by that name asks to be let in",
                "they type first: casevault user join " + name);
  }
  if (pending.requests.size() > 1) {
    throw Error(Errc::kUsage, "several requests carry that name: somebody may be pretending to be them",
                "decline them all with casevault user remove " + name + ", then let the person join again");
  }
  return std::move(pending.requests.front());
}

void require_free(const CatalogState& state, const std::string& name) {
  if (state.find_user(name) == nullptr) return;
  throw Error(Errc::kUsage, "there is a user of that name already", "ask them to join under another name");
}

/// The one catalogue change that makes somebody a user.
void certify(Session& session, const PendingJoin& pending, Role role, const RoleKeys& role_keys, std::size_t slot) {
  const auto organisation = open_organisation_keys(session, "user-approve");
  const auto& keys = session.keys();
  Catalog::Update update(session.catalog());
  require_free(update.state(), pending.request.keys.name);
  auto users = keys_of_active_users(update.state());
  users.push_back(pending.request.keys);
  const auto handover = encode_handover(keys.header.vault_id, keys.catalog_key, keys.catalog_epoch, session.identity(),
                                        users, update.state().handover_custody() > 0 ? Handing::kHalf : Handing::kWhole,
                                        update.state().trustees());
  auto statement = new_statement(session, "user");
  statement["user"] = user_to_json(pending.request.keys);
  statement["role"] = to_string(role);
  statement["slot"] = slot;
  statement["generation"] = 1;
  statement["slot_hash"] = to_hex(sha256(pending.slot));
  statement["role_keys"] =
      role == Role::kMember
          ? std::string()
          : to_hex(update.put_blob(seal_role_keys(role_keys.clone(role == Role::kOwner), pending.request.keys.box)));
  update.erase_blob(update.state().handover_hash());
  statement["handover"] = to_hex(update.put_blob(handover));
  update.append(statement, session.identity().signing);
  if (role != Role::kAuditor) {
    auto key = new_statement(session, "organisation-key");
    key["user"] = to_hex(pending.request.keys.id);
    key["key"] = to_hex(update.put_blob(seal_organisation_keys(organisation, pending.request.keys.box)));
    update.append(key, session.identity().signing);
  }
  update.announce_file("handover");
  announce_undealt(update, update.state().custody_epoch(), pending.request.keys.id);
  update.commit();
  replace_file(handover_path(session.folder(), keys.catalog_epoch), handover);
  session.catalog().set_finished("handover");
}

std::int64_t case_number_of(const std::string& object) {
  const auto name = parse_object_name(object.substr(0, object.find_first_of("/ .")));
  return name ? name->case_number : 0;
}

/// @returns false when nobody of that name asks.
bool decline_requests(Session& session, const std::string& name) {
  const auto role_keys = own_role_keys(session);
  bool any = false;
  for (const auto& pending :
       read_join_requests(session.folder(), session.keys().header.vault_id, role_keys.audit).requests) {
    if (pending.request.keys.name == name) any = destroy_request(pending.path);
  }
  if (any) session.record("user-decline", name);
  return any;
}

void require_no_lost_cases(const Session& session, const std::string& name) {
  std::string lost;
  for (const auto number : cases_managed_only_by(session, name))
    lost += (lost.empty() ? "C-" : ", C-") + std::to_string(number);
  if (lost.empty()) return;
  throw Error(
      Errc::kUsage,
      "nobody else manages " + lost + ": without this user nobody could give or withdraw anything there any more",
      "let them first type: casevault case grant " + lost.substr(0, lost.find(',')) + " USER --right manage");
}

}  // namespace

std::vector<std::int64_t> cases_managed_only_by(const Session& session, const std::string& name) {
  const auto& state = session.state();
  const auto* user = state.find_user(name);
  std::vector<std::int64_t> numbers;
  if (user == nullptr) return numbers;
  for (const auto& [number, managed] : state.cases()) {
    const auto& entry = managed;  // clang 14 captures no structured binding
    const auto* own = state.grant_of(entry, user->keys.id);
    if (own == nullptr || own->right != Right::kManage) continue;
    const auto users = state.active_users();
    const bool others = std::ranges::any_of(users, [&](const User* other) {
      const auto* grant = state.grant_of(entry, other->keys.id);
      return other != user && grant != nullptr && grant->right == Right::kManage;
    });
    if (!others) numbers.push_back(number);
  }
  return numbers;
}

std::vector<JoinRequest> pending_requests(Session& session) {
  require_owner(session, "user-list", "");
  const auto role_keys = own_role_keys(session);
  std::vector<JoinRequest> requests;
  for (auto& pending : open_requests(session, role_keys).requests) {
    requests.push_back(std::move(pending.request));
  }
  return requests;
}

bool approve_user(Session& session, const std::string& name, Role role,
                  const std::function<bool(const JoinRequest&)>& confirm) {
  require_owner(session, "user-approve", name);
  const auto role_keys = own_role_keys(session);
  const auto pending = find_request(session, role_keys, name);
  require_free(session.state(), name);
  if (!confirm(pending.request)) {
    session.record("user-approve", name, "declined");
    return false;
  }
  session.record("user-approve", name, "begun");
  const ExclusiveAccess exclusive(session);
  // One stays free: a slot is re-sealed into a free one.
  const bool full = session.state().active_users().size() + 1 >= kSlotCount;
  const auto slot = session.state().free_slot(read_be64(random_array<8>()));
  if (full || !slot)
    throw Error(Errc::kUsage, "63 people are in the vault, which is the most", "casevault user remove NAME");
  session.keys().slots.write(*slot, pending.slot);
  certify(session, pending, role, role_keys, *slot);
  destroy_request(pending.path);
  session.record("user-approve", name);
  deposit_for_user(session, *session.state().find_user(name));
  if (role == Role::kOwner) renew_policies(session);
  return true;
}

RemovalReport remove_user(Session& session, const std::string& name, bool even_if_cases_are_lost) {
  require_owner(session, "user-remove", name);
  const auto* found = session.state().find_user(name);
  if (found == nullptr && decline_requests(session, name)) return {.declined = true};
  if (found == nullptr) throw Error(Errc::kNotFound, "there is no user of that name", "casevault user list");
  if (found->keys.id == session.user_id()) {
    throw Error(Errc::kUsage, "you cannot remove yourself", "ask another owner to do it");
  }
  if (!even_if_cases_are_lost) require_no_lost_cases(session, name);
  RemovalReport report;
  report.audit_readable = true;
  report.knew_organisation_keys = found->role != Role::kAuditor;
  {
    const ExclusiveAccess exclusive(session);
    // Everything that they did before this has a smaller place in the log than the removal.
    session.record("user-remove", name, "begun");
    const auto* present = session.state().find_user(name);
    if (present == nullptr)
      throw Error(Errc::kBusy, "another process removed that user meanwhile", "casevault user list");
    const auto removed = *present;
    report.opened = opened_by(session, removed.keys.id, 0);
    rotate_catalog(session, removed);
  }
  session.record("user-remove", name);
  forget_removed_user(session, name);
  renew_policies(session);
  std::vector<std::int64_t> waiting;
  for (const auto& [number, entry] : session.state().cases()) {
    if (session.state().needs_rotation(entry)) waiting.push_back(number);
  }
  for (const auto number : waiting)
    (rekey_case(session, number) ? report.rotated : report.to_be_rotated).push_back(number);
  return report;
}

void change_passphrase(Session& session, const SecretBytes& new_passphrase) {
  session.record("user-passphrase", session.user_name(), "begun");
  const auto custody_epoch = session.state().custody_epoch();
  const auto deals = own_deals(session, custody_epoch);
  auto slot = new_slot_key(session, new_passphrase);
  const ExclusiveAccess exclusive(session);
  require_same_deals(session, custody_epoch, deals);
  reseal_slot(session, std::move(slot.key), slot.custody_epoch);
  session.record("user-passphrase", session.user_name());
}

std::vector<OpenedBefore> opened_by(Session& session, UserId user, std::int64_t case_number) {
  const auto role_keys = open_role_keys(session.catalog(), session.identity());
  std::map<std::int64_t, std::vector<std::string>> opened;
  if (!role_keys) return {};
  session.log().refresh();
  session.log().read_all(role_keys->audit, session.state(),
                         [&](std::uint64_t, const std::optional<OpenedEntry>& entry) {
                           if (!entry || !entry->by || *entry->by != user || entry->event.outcome == "refused") return;
                           static constexpr std::array<std::string_view, 8> kOpening = {
                               "list", "case-show", "show", "history", "cat", "export", "search", "share"};
                           if (std::ranges::find(kOpening, entry->event.action) == kOpening.end()) return;
                           for (const auto& name : split_object_list(entry->event.objects)) {
                             const auto number = case_number_of(name);
                             if (number == 0 || (case_number != 0 && number != case_number)) continue;
                             auto& names = opened[number];
                             if (std::ranges::find(names, name) == names.end()) names.push_back(name);
                           }
                         });
  std::vector<OpenedBefore> report;
  report.reserve(opened.size());
  for (auto& [number, names] : opened) report.push_back({number, std::move(names)});
  return report;
}

}  // namespace casevault
