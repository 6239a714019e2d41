#include "vault/access/case_access.h"

#include <algorithm>
#include <array>

#include "crypto/aead.h"
#include "vault/access/case_keys.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/audit/log.h"
#include "vault/custody/incomplete.h"
#include "vault/custody/shares.h"
#include "vault/records/statement.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

std::string case_name(std::int64_t number) { return "C-" + std::to_string(number); }

/// The chain must hold the head that the catalogue knows; what lies beyond it (a crash before it was published) must be
/// signed.
void check_head(const CatalogState& state, const CaseEntry& entry, const CaseStore& store) {
  const auto name = case_name(entry.number);
  const auto head = store.head();
  if (head.count < entry.head.count || chain_hash_at(store.database(), entry.head.count) != entry.head.hash) {
    throw Error(Errc::kDamaged, name + ": its database is older than the catalogue says, or lost entries",
                "restore the whole vault from one copy, then casevault verify");
  }
  for (const auto& change : read_chain(store.database(), entry.head)) {
    check_case_change(state, store, change, name);
    const auto statement = parse_statement(change.statement, name);
    // From somebody who was removed it cannot be told from a statement dated back.
    const bool author_gone = !state.find_user(statement.by)->active;
    if (author_gone || statement.epoch != entry.epoch || statement.log.size < entry.head_log_size) {
      throw Error(Errc::kDamaged, name + ": something was added to it behind the catalogue's back", "casevault verify");
    }
  }
}

/// A withdrawal hides a record everywhere, so each is checked before anything is believed.
void check_withdrawals(const CatalogState& state, const CaseStore& store, const std::string& name) {
  for (const auto number : store.withdrawals()) {
    check_case_change(state, store, store.change(number),
                      name + ": the withdrawal in change " + std::to_string(number));
  }
}

struct NewGrants {
  nlohmann::json list = nlohmann::json::array();
  std::vector<Bytes> sealed;
};

/// Everyone whose grant stays, under the new key.
NewGrants regrant(const CatalogState& state, const CaseEntry& entry, const CaseKey& key,
                  std::optional<UserId> without) {
  NewGrants grants;
  for (const auto* user : state.active_users()) {
    const auto* grant = state.grant_of(entry, user->keys.id);
    if (grant == nullptr || user->keys.id == without) continue;
    grants.sealed.push_back(seal_to(user->keys.box, key));
    grants.list.push_back({{"user", to_hex(user->keys.id)},
                           {"right", to_string(grant->right)},
                           {"key", to_hex(sha256(grants.sealed.back()))}});
  }
  return grants;
}

void remove_database(const Path& path) {
  remove_file(path);
  remove_file(path.string() + "-journal");
}

}  // namespace

OpenCase open_case(Session& session, std::int64_t number, Right needed, std::string_view action,
                   std::string_view object) {
  const auto& state = session.state();
  const auto* entry = state.find_case(number);
  const auto* grant = entry != nullptr ? state.grant_of(*entry, session.user_id()) : nullptr;
  if (grant == nullptr) {
    session.record(action, object, "refused");
    throw Error(Errc::kNotFound, "there is no case " + case_name(number) + ", or it was not given to you",
                "casevault case list");
  }
  if (grant->right < needed) {
    session.refuse(action, object,
                   "your right on " + case_name(number) + " is " + std::string(to_string(grant->right)) +
                       "; this takes " + std::string(to_string(needed)));
  }
  const auto key = open_case_key(session, *grant, case_name(number));
  return open_case_with(session, number, key, release_case_share(session, *entry));
}

OpenCase open_case_with(Session& session, std::int64_t number, const CaseKey& key,
                        const std::optional<CustodyShare>& share) {
  const auto& state = session.state();
  const auto& entry = *state.find_case(number);
  auto store = CaseStore::open(case_path(session.folder(), entry.id, entry.epoch),
                               case_database_key(key, entry.id, entry.epoch, share), entry.id);
  check_head(state, entry, store);
  check_withdrawals(state, store, case_name(number));
  return {number, state.grant_of(entry, session.user_id())->right, entry.epoch, std::move(store)};
}

OpenCase open_case_for_adding(Session& session, std::int64_t number, std::string_view action, std::string_view object) {
  auto open = open_case(session, number, Right::kAdd, action, object);
  const auto& entry = *session.state().find_case(number);
  if (entry.closed) session.refuse(action, object, case_name(number) + " is closed: nothing can be added to it");
  if (session.state().needs_rotation(entry)) rotate_case(session, open, {});
  cover_case(session, number);
  return open;
}

CaseStamp case_stamp(Session& session, const OpenCase& open) {
  session.log().refresh();
  const auto log = session.log().head();
  const auto& entry = *session.state().find_case(open.number);
  require_log_grown(session, std::max(entry.head_log_size, session.state().last_cite().size));
  return {session.identity(), open.epoch, session.environment().now_ms(), log.size, log.root};
}

void publish_case_head(Session& session, const OpenCase& open) {
  Catalog::Update update(session.catalog());
  const auto& entry = *update.state().find_case(open.number);
  // Nobody commits to the case between the head and what its statement cites: later changes cite at least as much.
  const Transaction hold(open.store.database());
  const auto head = open.store.head();
  if (entry.epoch != open.epoch) {
    throw Error(Errc::kBusy, case_name(open.number) + " was re-keyed meanwhile; nothing was added",
                "repeat the command");
  }
  if (head.count <= entry.head.count) return;  // another process published it with its own
  auto statement = new_statement(session, "case-head");
  statement["case"] = to_hex(entry.id);
  statement["epoch"] = open.epoch;
  statement["count"] = head.count;
  statement["hash"] = to_hex(head.hash);
  update.append(statement, session.identity().signing);
  update.commit();
}

void check_case_change(const CatalogState& state, const CaseStore& store, const Change& change,
                       std::string_view object) {
  const auto statement = parse_statement(change.statement, std::string(object));
  const auto forged = [&](const char* why) {
    return Error(Errc::kDamaged, std::string(object) + " is forged or damaged: " + why, "casevault verify");
  };
  const auto* entry = state.find_case(store.id());
  const auto* user = state.find_user(statement.by);
  if (entry == nullptr || statement.case_id != store.id()) throw forged("it belongs to another case");
  if (user == nullptr || !verify_change(store.id(), change, user->keys.sign)) {
    throw forged("its signature is not that of the person it names");
  }
  const auto right = state.right_at(*entry, statement.epoch, statement.by, statement.log.size);
  const bool adds = statement.kind == CaseStatement::Kind::kVersion;
  const auto needed = adds ? Right::kAdd : Right::kManage;
  if (adds && entry->closed && statement.log.size >= entry->closed_log_size) throw forged("the case was closed then");
  if (!right || *right < needed) throw forged("the person it names had no right to do this");
}

void rotate_case(Session& session, OpenCase& open, const Rotation& rotation) {
  const ExclusiveAccess exclusive(session);
  const auto entry = *session.state().find_case(open.number);
  if (entry.epoch != open.epoch) {
    throw Error(Errc::kBusy, "another process re-keyed " + case_name(open.number) + " meanwhile", "repeat the command");
  }
  const auto epoch = entry.epoch + 1;
  const auto key = CaseKey::random();
  const auto path = case_path(session.folder(), entry.id, epoch);
  remove_database(path);  // of an attempt that was cut off
  // Everything that others did before this has a smaller place in the log than what follows.
  session.record("case-rekey", case_name(open.number), "begun");
  const auto share = deal_case_share(session, open.number, epoch);
  auto target = CaseStore::create(path, case_database_key(key, entry.id, epoch, share_of(share)), entry.id,
                                  open.store.body_name_key());
  auto stamp = case_stamp(session, open);
  stamp.epoch = epoch;
  // The new grants cite the same log as what is written under them, however long the copy takes.
  const auto cited = [&](nlohmann::json statement) {
    statement["log_size"] = stamp.log_size;
    statement["log_root"] = to_hex(stamp.log_root);
    return statement;
  };
  std::vector<std::string> bodies_without_record;
  {
    Transaction transaction(target.database());
    bodies_without_record = open.store.copy_into(target, rotation.left_out);
    if (rotation.extra) rotation.extra(target, stamp);
    transaction.commit();
  }
  sync_directory(path.parent_path());

  const auto title =
      open_title(session, entry,
                 open_case_key(session, *session.state().grant_of(entry, session.user_id()), case_name(open.number)));
  Catalog::Update update(session.catalog());
  auto grants = regrant(update.state(), entry, key, rotation.without_user);
  for (const auto& sealed : grants.sealed) update.put_blob(sealed);
  auto statement = cited(new_statement(session, "case-epoch"));
  statement["case"] = to_hex(entry.id);
  statement["epoch"] = epoch;
  statement["title"] = to_hex(update.put_blob(seal_title(title, entry.id, key)));
  statement["grants"] = std::move(grants.list);
  put_share(statement, share);
  announce_missed(update, share, entry.number, epoch);
  announce_forgotten_share(update, entry);
  update.append(statement, session.identity().signing);
  const auto head = target.head();
  auto head_statement = cited(new_statement(session, "case-head"));
  head_statement["case"] = to_hex(entry.id);
  head_statement["epoch"] = epoch;
  head_statement["count"] = head.count;
  head_statement["hash"] = to_hex(head.hash);
  update.append(head_statement, session.identity().signing);
  if (entry.recovery_key) update.erase_blob(*entry.recovery_key);
  append_recovery_case(update, author_of(session), entry.id, key, share_of(share));
  update.erase_blob(entry.title);
  for (const auto& grant : entry.grants) update.erase_blob(grant.sealed_key);
  update.commit();

  const auto old_path = case_path(session.folder(), entry.id, entry.epoch);
  open = {open.number, open.right, epoch, std::move(target)};
  remove_database(old_path);
  sync_directory(old_path.parent_path());
  for (const auto& body : bodies_without_record) session.bodies().remove(body);
  forget_announced_shares(session);
}

bool rekey_case(Session& session, std::int64_t number) {
  const auto& entry = *session.state().find_case(number);
  const auto* grant = session.state().grant_of(entry, session.user_id());
  if (grant == nullptr || grant->right < Right::kAdd) return false;
  const auto object = case_name(number);
  try {
    auto open = open_case(session, number, Right::kAdd, "case-rekey", object);
    rotate_case(session, open, {});
  } catch (const Error& error) {
    static constexpr std::array kWaiting = {Errc::kBusy,      Errc::kDamaged,           Errc::kNoSpace,
                                            Errc::kDestroyed, Errc::kCustodiansRefused, Errc::kTooFewCustodians};
    if (std::ranges::find(kWaiting, error.code()) == kWaiting.end()) throw;
    return false;
  }
  session.record("case-rekey", object);
  return true;
}

}  // namespace casevault
