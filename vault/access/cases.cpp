#include "vault/access/cases.h"

#include <algorithm>

#include "crypto/random.h"
#include "vault/access/case_access.h"
#include "vault/access/case_keys.h"
#include "vault/access/new_case.h"
#include "vault/access/role_keys.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/custody/incomplete.h"
#include "vault/custody/shares.h"
#include "vault/records/reading.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxTitleSize = 200;

std::string case_name(std::int64_t number) { return "C-" + std::to_string(number); }

void require_title(const std::string& title) {
  if (title.empty() || title.size() > kMaxTitleSize || !is_utf8(title)) {
    throw Error(Errc::kUsage, "a title is 1 to 200 bytes of UTF-8 text", "casevault case new TITLE");
  }
}

const User& require_user(const Session& session, const std::string& name) {
  const auto* user = session.state().find_user(name);
  if (user == nullptr) throw Error(Errc::kNotFound, "there is no user of that name", "casevault user list");
  return *user;
}

CaseSummary summary_of(Session& session, const CaseEntry& entry, const Grant& grant) {
  const auto key = open_case_key(session, grant, case_name(entry.number));
  return {entry.number,     open_title(session, entry, key),   grant.right,     entry.closed,
          entry.created_ms, user_name(session, entry.creator), entry.head.count};
}

std::size_t manager_count(const CatalogState& state, const CaseEntry& entry) {
  const auto users = state.active_users();
  return static_cast<std::size_t>(std::ranges::count_if(users, [&](const User* user) {
    const auto* grant = state.grant_of(entry, user->keys.id);
    return grant != nullptr && grant->right == Right::kManage;
  }));
}

void require_another_manager(const Session& session, const CaseEntry& entry, const Grant* losing) {
  if (losing == nullptr || losing->right != Right::kManage || manager_count(session.state(), entry) > 1) return;
  throw Error(Errc::kUsage, "nobody would be left to manage " + case_name(entry.number),
              "casevault case grant " + case_name(entry.number) + " USER --right manage");
}

}  // namespace

std::int64_t new_case(Session& session, const std::string& title) {
  require_title(title);
  if (session.role() == Role::kAuditor) session.refuse("case-new", "", "auditors make no cases");
  session.record("case-new", "", "begun");
  Catalog::Update update(session.catalog());
  const auto number = append_new_case(session, update, title);
  update.commit();
  session.record("case-new", case_name(number));
  return number;
}

std::int64_t append_new_case(Session& session, Catalog::Update& update, const std::string& title) {
  const auto id = random_array<16>();
  const auto key = CaseKey::random();
  const auto path = case_path(session.folder(), id, 1);
  const auto number = static_cast<std::int64_t>(update.state().cases().size()) + 1;
  const auto share = deal_case_share(session, number, 1);
  CaseStore::create(path, case_database_key(key, id, 1, share_of(share)), id, BodyNameKey::random());
  sync_directory(path.parent_path());

  auto statement = new_statement(session, "case");
  statement["case"] = to_hex(id);
  statement["number"] = number;
  update.append(statement, session.identity().signing);
  const auto own_key = update.put_blob(seal_to(session.identity().box.public_key, key));
  auto epoch = new_statement(session, "case-epoch");
  epoch["case"] = to_hex(id);
  epoch["epoch"] = 1;
  epoch["title"] = to_hex(update.put_blob(seal_title(title, id, key)));
  epoch["grants"] = {
      {{"user", to_hex(session.user_id())}, {"right", to_string(Right::kManage)}, {"key", to_hex(own_key)}}};
  put_share(epoch, share);
  announce_missed(update, share, number, 1);
  update.append(epoch, session.identity().signing);
  append_recovery_case(update, author_of(session), id, key, share_of(share));
  return number;
}

std::vector<CaseSummary> list_cases(Session& session) {
  session.record("case-list", "");
  std::vector<CaseSummary> cases;
  for (const auto& [number, entry] : session.state().cases()) {
    const auto* grant = session.state().grant_of(entry, session.user_id());
    if (grant != nullptr) cases.push_back(summary_of(session, entry, *grant));
  }
  return cases;
}

CaseDetails show_case(Session& session, std::int64_t number) {
  const auto open = open_case(session, number, Right::kRead, "case-show", case_name(number));
  session.record("case-show", case_name(number));
  const auto& state = session.state();
  const auto& entry = *state.find_case(number);
  CaseDetails details;
  details.summary = summary_of(session, entry, *state.grant_of(entry, session.user_id()));
  for (const auto* user : state.active_users()) {
    const auto* grant = state.grant_of(entry, user->keys.id);
    if (grant == nullptr) continue;
    details.members.push_back({user->keys.name, grant->right, user_name(session, grant->granter), grant->time_ms});
  }
  const auto records = open.store.records();
  details.records = records.size();
  details.withdrawn = static_cast<std::size_t>(
      std::ranges::count_if(records, [](const Record& r) { return r.withdrawal.has_value(); }));
  details.key_epoch = entry.epoch;
  return details;
}

void grant_case(Session& session, std::int64_t number, const std::string& user_name, Right right) {
  const auto object = case_name(number) + ", " + user_name;
  auto open = open_case(session, number, Right::kManage, "case-grant", object);
  const User user = require_user(session, user_name);
  if (user.role == Role::kAuditor && right != Right::kRead) {
    throw Error(Errc::kUsage, "auditors can be given the right to read, no other", "use --right read");
  }
  const auto& entry = *session.state().find_case(number);
  if (right < Right::kManage) require_another_manager(session, entry, session.state().grant_of(entry, user.keys.id));
  session.record("case-grant", object, "begun");
  if (session.state().needs_rotation(entry)) rotate_case(session, open, {});
  // A right must not be lowered under a colleague's running add.
  const auto* before = session.state().grant_of(*session.state().find_case(number), user.keys.id);
  std::optional<ExclusiveAccess> exclusive;
  if (before != nullptr && right < before->right) exclusive.emplace(session);

  const auto& current = *session.state().find_case(number);
  const auto key = open_case_key(session, *session.state().grant_of(current, session.user_id()), case_name(number));
  Catalog::Update update(session.catalog());
  auto statement = new_statement(session, "grant");
  statement["case"] = to_hex(current.id);
  statement["epoch"] = current.epoch;
  statement["user"] = to_hex(user.keys.id);
  statement["right"] = to_string(right);
  statement["key"] = to_hex(update.put_blob(seal_to(user.keys.box, key)));
  update.append(statement, session.identity().signing);
  update.commit();
  session.record("case-grant", object);
}

RemovalReport revoke_case(Session& session, std::int64_t number, const std::string& user_name) {
  const auto object = case_name(number) + ", " + user_name;
  auto open = open_case(session, number, Right::kManage, "case-revoke", object);
  const User user = require_user(session, user_name);
  const auto& entry = *session.state().find_case(number);
  const auto* grant = session.state().grant_of(entry, user.keys.id);
  if (grant == nullptr) {
    throw Error(Errc::kNotFound, "that user has no right on " + case_name(number),
                "casevault case show " + case_name(number));
  }
  if (user.keys.id == session.user_id()) {
    throw Error(Errc::kUsage, "you cannot take your own right away", "ask another manager of the case to do it");
  }
  require_another_manager(session, entry, grant);
  session.record("case-revoke", object, "begun");
  RemovalReport report;
  report.audit_readable = session.role() != Role::kMember;
  report.opened = opened_by(session, user.keys.id, number);
  rotate_case(session, open, {user.keys.id, std::nullopt, nullptr});
  report.rotated.push_back(number);
  session.record("case-revoke", object);
  return report;
}

void close_case(Session& session, std::int64_t number) {
  const auto object = case_name(number);
  open_case(session, number, Right::kManage, "case-close", object);
  if (session.state().find_case(number)->closed) throw Error(Errc::kUsage, object + " is closed already");
  const ExclusiveAccess exclusive(session);  // not under a colleague's running add
  session.record("case-close", object, "begun");
  Catalog::Update update(session.catalog());
  auto statement = new_statement(session, "close");
  statement["case"] = to_hex(update.state().find_case(number)->id);
  update.append(statement, session.identity().signing);
  update.commit();
  session.record("case-close", object);
}

}  // namespace casevault
