#include "vault/custody/enrolment.h"

#include <algorithm>
#include <array>
#include <map>

#include "crypto/random.h"
#include "vault/access/case_access.h"
#include "vault/access/catalog_rotation.h"
#include "vault/access/decoy.h"
#include "vault/access/role_keys.h"
#include "vault/access/session_keys.h"
#include "vault/audit/log.h"
#include "vault/audit/proof.h"
#include "vault/custody/card.h"
#include "vault/custody/client.h"
#include "vault/custody/dealing.h"
#include "vault/custody/device.h"
#include "vault/custody/incomplete.h"
#include "vault/custody/shares.h"
#include "vault/records/export_folder.h"
#include "vault/sharing/bundle.h"
#include "vault/storage/catalog.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::uint32_t kMaxIndex = 255;

void require_owner(Session& session, std::string_view action) {
  if (session.role() != Role::kOwner) session.refuse(action, "", "only an owner of the vault may do this");
}

std::string case_name(std::int64_t number) { return "C-" + std::to_string(number); }

void require_several_places(const EnrolRequest& request) {
  std::map<std::string, std::uint32_t> in_place;
  for (const auto& invitation : request.invitations) ++in_place[invitation.custodian.place];
  for (const auto& [place, count] : in_place) {
    if (count < request.threshold || request.one_place) continue;
    throw Error(Errc::kUsage,
                std::to_string(count) + " of the custodians are in one place (" +
                    (place.empty() ? "none was named" : place) + "), and " + std::to_string(request.threshold) +
                    " are enough to open everything: one court there could",
                "choose custodians in different countries, or say --one-place");
  }
}

/// A custodian keeps the index that it had, so that its older shares stay of use.
std::vector<CustodianSeat> seats_of(const Header& header, const std::vector<Invitation>& invitations) {
  std::map<ByteArray<32>, std::uint32_t> known;
  std::uint32_t last = 0;
  for (const auto& plan : header.custody) {
    for (const auto& seat : plan.custodians) {
      known[seat.custodian.key.bytes] = seat.index;
      last = std::max(last, seat.index);
    }
  }
  std::vector<CustodianSeat> seats;
  for (const auto& invitation : invitations) {
    const auto found = known.find(invitation.custodian.key.bytes);
    const auto index = found != known.end() ? found->second : ++last;
    if (index > kMaxIndex) throw Error(Errc::kUsage, "this vault has had 255 custodians, which is the most");
    seats.push_back({invitation.custodian, index});
  }
  return seats;
}

struct Cards {
  std::vector<OrderCard> cards;
  std::vector<VerifyKey> keys;
};

Cards make_cards(const EnrolRequest& request, const VaultId& vault, const CustodyPlan& plan) {
  std::vector<CustodianAddress> custodians;
  for (const auto& seat : plan.custodians) custodians.push_back(seat.custodian);
  Cards made;
  for (std::uint32_t number = 1; number <= request.cards; ++number) {
    const auto key = SigningKey::random();
    made.keys.push_back(key.verify_key());
    made.cards.push_back(OrderCard{number, request.label, vault, plan.salt, key.seed().clone(), custodians, 0});
  }
  return made;
}

std::vector<Path> write_cards(const Session& session, const Path& folder, const std::vector<OrderCard>& cards) {
  refuse_inside_vault(session.folder(), folder, "the cards");
  if (!make_directory(folder))
    throw Error(Errc::kUsage, "the folder for the cards is there already", "name a new one with --out DIR");
  std::vector<Path> files;
  for (const auto& card : cards) {
    write_card(folder, card);
    files.push_back(folder / ("card-" + std::to_string(card.number) + ".txt"));
  }
  return files;
}

std::vector<VerifyKey> owner_keys(const CatalogState& state) {
  std::vector<VerifyKey> keys;
  for (const auto* user : state.active_users()) {
    if (user->role == Role::kOwner) keys.push_back(user->keys.sign);
  }
  return keys;
}

CustodyPolicy policy_of(Session& session, const CustodyPlan& plan) {
  const auto& state = session.state();
  const NoteVerifier log(log_origin(state.vault()), state.sharing().own_keys().back().sign);
  return {owner_keys(state), log.encode(), plan};
}

UserDeposit deposit_of(const CustodyPlan& plan, const User& user) {
  return {{custody_id(plan.salt, ScopeKind::kUser, user.keys.name), plan.epoch},
          random_scalar(),
          random_scalar(),
          user.keys.sign,
          SigningKey::random().verify_key()};
}

/// Deposits, then asks back: the shares of all, and one evaluation for the owner who does this.
void deal_users(Session& session, const CustodyPlan& plan, CustodyClient& custodians) {
  const auto& signing = session.identity().signing;
  for (const auto* user : session.state().active_users()) {
    const auto deposit = deposit_of(plan, *user);
    custodians.deal_user(deposit, signing);
    const auto released = custodians.release({deposit.name});
    const bool is_own = user->keys.id == session.user_id();
    const auto probe = PassphraseKey::random();
    const bool evaluates =
        !is_own || equal_constant_time(custodians.evaluate(deposit.name, probe), oprf_alone(deposit.oprf, probe));
    if (!equal_constant_time(released.front(), deposit.share) || !evaluates) {
      throw Error(Errc::kTooFewCustodians, "the custodians do not give back what they were given; nothing was changed",
                  "casevault custody status");
    }
    if (is_own) custodians.confirm(deposit.name.id, signing);
  }
}

/// What an owner changes vault.json with.
SigningKey root_key(Session& session) {
  const auto role_keys = open_role_keys(session.catalog(), session.identity());
  if (!role_keys || !role_keys->root) throw Error(Errc::kInternal, "an owner without the root key");
  return SigningKey::from_seed(role_keys->root->clone());
}

/// The same for ever, also after custody ended and began again: by it custodians know devices, and cards name them.
CustodySalt custody_salt(Session& session) {
  const auto& header = session.keys().header;
  if (!header.custody.empty()) return header.custody.back().salt;
  const auto signature = root_key(session).sign("casevault/v1/custody-salt", header.vault_id);
  return to_array<16>(ByteView(sha256(signature)).first(16));
}

/// People whose slot hangs on other custodians than those were dealt for by these too.
void announce_unused_secrets(Catalog::Update& update, const Header& before) {
  for (const auto& plan : before.custody) {
    for (const auto* user : update.state().active_users()) {
      if (user->slot_custody != plan.epoch) announce_forgotten_user(update, plan.epoch, user->keys.id);
    }
  }
}

/// Nothing is opened by it any more.
bool is_left(Session& session, const CustodyPlan& plan) {
  const auto& state = session.state();
  const auto users = state.active_users();
  return plan.epoch != state.custody_epoch() && plan.epoch != state.handover_custody() &&
         std::ranges::none_of(users, [&](const User* user) { return user->slot_custody == plan.epoch; }) &&
         std::ranges::none_of(state.cases(), [&](const auto& c) { return c.second.custody_epoch == plan.epoch; });
}

std::vector<CustodyPlan> plans_in_use(Session& session) {
  const auto waiting = still_to_forget(session);
  const auto is_idle = [&](const CustodyPlan& plan) {
    return is_left(session, plan) &&
           std::ranges::none_of(waiting, [&](const StillToForget& some) { return some.custody_epoch == plan.epoch; });
  };
  auto plans = session.keys().header.custody;
  std::erase_if(plans, is_idle);
  return plans;
}

enum class Announce { kUnusedSecrets, kNothing };
/// The one change that puts another custody in force, or the same with other plans beside it; vault.json follows it.
void change_custody(Session& session, std::uint32_t custody_epoch, std::vector<CustodyPlan> plans, Announce announce) {
  auto& keys = session.keys();
  const auto root = root_key(session);
  const ExclusiveAccess exclusive(session);
  if (sha256(encode_header(keys.header, root)) != session.state().header_hash())
    throw Error(Errc::kBusy, "another process changed vault.json meanwhile", "repeat the command");
  auto header = keys.header;
  header.custody = std::move(plans);
  const auto file = encode_header(header, root);
  Catalog::Update update(session.catalog());
  auto statement = new_statement(session, "custody");
  statement["epoch"] = custody_epoch;
  statement["header"] = to_hex(update.put_blob(file));
  update.append(statement, session.identity().signing);
  if (announce == Announce::kUnusedSecrets) announce_unused_secrets(update, keys.header);
  update.announce_file("vault.json");
  update.commit();
  replace_file(session.folder() / "vault.json", file);
  session.catalog().set_finished("vault.json");
  keys.header = std::move(header);
}

/// All former plans stay until nothing hangs on them: drop_former_plans.
void put_in_force(Session& session, std::uint32_t custody_epoch, const std::optional<CustodyPlan>& plan) {
  auto plans = session.keys().header.custody;
  if (plan) plans.push_back(*plan);
  change_custody(session, custody_epoch, std::move(plans), Announce::kUnusedSecrets);
}

void rekey_cases(Session& session, const EnrolObserver& observer) {
  std::vector<std::int64_t> numbers;
  for (const auto& [number, entry] : session.state().cases()) {
    const auto* grant = session.state().grant_of(entry, session.user_id());
    if (session.state().needs_rotation(entry) && grant != nullptr && grant->right >= Right::kAdd)
      numbers.push_back(number);
  }
  for (const auto number : numbers) {
    observer("re-keying " + case_name(number));
    try {
      auto open = open_case(session, number, Right::kAdd, "case-rekey", case_name(number));
      rotate_case(session, open, {});
      session.record("case-rekey", case_name(number));
    } catch (const Error& error) {  // an order about this one case
      if (error.code() != Errc::kDestroyed && error.code() != Errc::kCustodiansRefused) throw;
      session.warn(case_name(number) + " keeps its key: " + error.what());
    }
  }
}

/// What former custodians could not be told is given up, the oldest first, rather than to let nobody enrol any more.
void make_room_for_plan(Session& session) {
  forget_announced_shares(session);
  while (session.keys().header.custody.size() >= kMaxCustodyPlans) {
    auto plans = session.keys().header.custody;
    const auto oldest = std::ranges::find_if(plans, [&](const auto& plan) { return is_left(session, plan); });
    if (oldest == plans.end())
      throw Error(Errc::kUsage, "people or cases still hang on all former custodians", "casevault custody status");
    std::string names;
    for (const auto& seat : oldest->custodians) names += (names.empty() ? "" : ", ") + seat.custodian.name;
    session.warn("what " + names + " kept is not known to be deleted and is not asked for any more; ask them to do it");
    plans.erase(oldest);
    change_custody(session, session.state().custody_epoch(), std::move(plans), Announce::kNothing);
  }
}

/// One's own at once; those of others when they follow.
void end_duress_passphrases(Session& session) {
  drop_duress_passphrase(session);
  std::string others;
  for (const auto* user : session.state().active_users()) {
    if (user->spare_slot) others += (others.empty() ? "" : ", ") + user->keys.name;
  }
  if (others.empty()) return;
  session.warn("the duress passphrase of " + others +
               " is from before this change: let them unlock soon, which takes it away, and set it again; until then "
               "it opens the decoy and alarms nobody");
}

/// The catalogue key is handed over as the custody in force wants it.
void renew_catalog_key(Session& session) {
  const auto& state = session.state();
  if (state.handover_custody() == state.custody_epoch()) return;
  session.record("catalog-rekey", "", "begun");
  {
    const ExclusiveAccess exclusive(session);
    rotate_catalog(session, std::nullopt);
  }
}

const CustodyPlan* plan_in_force(Session& session) {
  return session.keys().header.custody_of(session.state().custody_epoch());
}

/// For what may wait: people are changed all the same.
void try_with_custodians(Session& session, const std::string& what, const std::function<void()>& action,
                         const std::string& and_then = "repeat it with casevault custody enroll") {
  try {
    action();
  } catch (const Error& error) {
    static constexpr std::array kWaiting = {Errc::kTooFewCustodians, Errc::kCustodiansRefused, Errc::kNotAllowed,
                                            Errc::kBusy};
    if (std::ranges::find(kWaiting, error.code()) == kWaiting.end()) throw;
    session.warn(what + " could not be told to all custodians: " + error.what() + "; " + and_then);
  }
}

}  // namespace

void check_enrolment(const EnrolRequest& request) {
  const auto count = request.invitations.size();
  const auto fail = [](const std::string& why) { throw Error(Errc::kUsage, why, "casevault help custody enroll"); };
  if (count == 0 || count > kMaxCustodians) fail("one to 32 invitations are needed, one from each custodian");
  if (request.threshold < 1 || request.threshold > count)
    fail("the threshold is between 1 and the number of custodians, which is " + std::to_string(count));
  if (request.cards < 1 || request.cards > kMaxCards) fail("the number of cards is between 1 and 32");
  if (request.quorum < 1 || request.quorum > request.cards)
    fail("the quorum is between 1 and the number of cards, which is " + std::to_string(request.cards));
  std::vector<ByteArray<32>> keys;
  for (const auto& invitation : request.invitations) keys.push_back(invitation.custodian.key.bytes);
  std::ranges::sort(keys);
  if (std::ranges::adjacent_find(keys) != keys.end()) fail("two of the invitations are of the same custodian");
  require_several_places(request);
}

EnrolResult enrol_custody(Session& session, const EnrolRequest& request, const EnrolObserver& observer) {
  require_owner(session, "custody-enroll");
  check_enrolment(request);
  session.record("custody-enroll", "", "begun");
  make_room_for_plan(session);
  CustodyPlan plan;
  plan.epoch = session.state().newest_custody_epoch() + 1;
  plan.salt = custody_salt(session);
  plan.threshold = request.threshold;
  plan.quorum = request.quorum;
  plan.lease_hours = request.lease_hours;
  plan.custodians = seats_of(session.keys().header, request.invitations);
  auto cards = make_cards(request, session.keys().header.vault_id, plan);
  plan.cards = cards.keys;

  EnrolResult result;
  observer("writing the cards");
  result.cards = write_cards(session, request.out, cards.cards);
  ensure_device(session.environment(), session.keys().header.vault_id);
  auto custodians = connect(session.keys().header, plan, session.environment());
  observer("enrolling with the custodians");
  std::vector<ByteArray<32>> tokens;
  for (const auto& invitation : request.invitations) tokens.push_back(invitation.token);
  custodians.enrol(tokens, policy_of(session, plan), session.identity().signing);
  observer("dealing the shares");
  deal_users(session, plan, custodians);
  put_in_force(session, plan.epoch, plan);
  session.record("custody-enroll", "");
  end_duress_passphrases(session);
  renew_catalog_key(session);
  rekey_cases(session, observer);
  result.progress = custody_progress(session);
  return result;
}

CustodyProgress continue_custody(Session& session, const EnrolObserver& observer) {
  require_owner(session, "custody-enroll");
  const auto* plan = plan_in_force(session);
  if (plan == nullptr && session.keys().header.custody.empty())
    throw Error(Errc::kUsage, "this vault is not under custody", "casevault help custody enroll");
  session.record("custody-enroll", "", "continued");
  if (plan != nullptr) {
    renew_policies(session);
    std::vector<User> waiting;  // copies: each deposit renews the catalogue's state
    for (const auto* user : session.state().active_users()) {
      if (user->slot_custody != plan->epoch) waiting.push_back(*user);
    }
    for (const auto& user : waiting) deposit_for_user(session, user);
  }
  renew_catalog_key(session);
  rekey_cases(session, observer);
  forget_announced_shares(session);
  complete_deposits(session);
  return custody_progress(session);
}

CustodyProgress leave_custody(Session& session, const EnrolObserver& observer) {
  require_owner(session, "custody-leave");
  if (session.state().custody_epoch() == 0)
    throw Error(Errc::kUsage, "this vault is not under custody", "casevault custody status");
  session.record("custody-leave", "", "begun");
  put_in_force(session, 0, std::nullopt);
  session.record("custody-leave", "");
  end_duress_passphrases(session);
  renew_catalog_key(session);
  rekey_cases(session, observer);
  return custody_progress(session);
}

void drop_former_plans(Session& session) {
  if (plans_in_use(session).size() == session.keys().header.custody.size()) return;
  const ExclusiveAccess exclusive(session, 0);
  change_custody(session, session.state().custody_epoch(), plans_in_use(session), Announce::kNothing);
}

CustodyProgress custody_progress(Session& session) {
  const auto& state = session.state();
  CustodyProgress progress;
  for (const auto& [number, entry] : state.cases()) {
    if (entry.custody_epoch != state.custody_epoch()) progress.cases_waiting.push_back(number);
  }
  for (const auto* user : state.active_users()) {
    if (user->slot_custody != state.custody_epoch()) progress.users_waiting.push_back(user->keys.name);
  }
  progress.to_forget = still_to_forget(session);
  progress.incomplete = incomplete_deposits(session);
  return progress;
}

void deposit_for_user(Session& session, User user) {
  const auto* plan = plan_in_force(session);
  if (plan == nullptr) return;
  try_with_custodians(
      session, "user " + user.keys.name,
      [&] {
        begin_dealing(session, plan->epoch, user.keys.id);
        custodians_of(session, plan->epoch).deal_user(deposit_of(*plan, user), session.identity().signing);
        end_dealing(session, plan->epoch, user.keys.id);
      },
      "it is done by itself when an owner next unlocks and all of them answer");
}

void announce_removed_user(Catalog::Update& update, const Header& header, const UserId& user) {
  for (const auto& plan : header.custody) announce_forgotten_user(update, plan.epoch, user);
}

void forget_removed_user(Session& session, const std::string& name) {
  forget_announced_shares(session);
  for (const auto& waiting : still_to_forget(session)) {
    if (std::ranges::find(waiting.of, name) == waiting.of.end()) continue;
    session.warn("the custodians still hold what they kept of " + name +
                 ", for not all were reached; it is tried again at the next unlocking of an owner: casevault custody "
                 "status");
  }
}

void renew_policies(Session& session) {
  const auto* plan = plan_in_force(session);
  if (plan == nullptr) return;
  try_with_custodians(session, "who the owners are", [&] {
    custodians_of(session, plan->epoch).renew_policy(policy_of(session, *plan), session.identity().signing);
  });
}

}  // namespace casevault
