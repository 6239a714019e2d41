#include "vault/custody/shares.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>

#include "crypto/kdf.h"
#include "crypto/shamir.h"
#include "vault/access/session_keys.h"
#include "vault/custody/choices.h"
#include "vault/custody/device.h"
#include "vault/custody/enrolment.h"
#include "vault/custody/incomplete.h"
#include "vault/custody/secret_names.h"
#include "vault/storage/catalog_state.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::string_view kCaseShare = "share/";
constexpr std::string_view kUserSecrets = "user-secrets/";
constexpr std::string_view kHandover = "handover/";
const std::string kStatusHint = "casevault custody status";

std::string case_name(std::int64_t number) { return "C-" + std::to_string(number); }

/// `share/<custody epoch>/<case number>/<key epoch>`, `user-secrets/<custody epoch>/<user id>` or
/// `handover/<custody epoch>/<catalogue epoch>`
struct Announced {
  enum class Kind { kCase, kUser, kHandover };
  Kind kind = Kind::kCase;
  std::uint32_t custody_epoch = 0;
  std::int64_t number = 0;      // of a case
  std::uint32_t key_epoch = 0;  // of a case, or the catalogue
  UserId user{};

  std::string encode() const {
    const auto epoch = std::to_string(custody_epoch) + "/";
    if (kind == Kind::kUser) return std::string(kUserSecrets) + epoch + to_hex(user);
    if (kind == Kind::kHandover) return std::string(kHandover) + epoch + std::to_string(key_epoch);
    return std::string(kCaseShare) + epoch + std::to_string(number) + "/" + std::to_string(key_epoch);
  }
  static std::optional<Announced> parse(std::string_view text) {
    static const std::array kPrefixes = {std::pair(Kind::kCase, kCaseShare), std::pair(Kind::kUser, kUserSecrets),
                                         std::pair(Kind::kHandover, kHandover)};
    for (const auto& [kind, prefix] : kPrefixes) {
      if (text.starts_with(prefix)) return parse(kind, text.substr(prefix.size()));
    }
    return std::nullopt;
  }

 private:
  static std::optional<Announced> parse(Kind kind, std::string_view text) {
    Announced parsed;
    parsed.kind = kind;
    const auto take = [&](auto& number) {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      text.remove_prefix(static_cast<std::size_t>(end - text.data()));
      if (text.starts_with("/")) text.remove_prefix(1);
      return error == std::errc();
    };
    if (!take(parsed.custody_epoch)) return std::nullopt;
    if (kind == Kind::kUser) {
      const auto user = array_from_hex<16>(text);
      if (!user) return std::nullopt;
      parsed.user = *user;
      return parsed;
    }
    if (kind == Kind::kCase && !take(parsed.number)) return std::nullopt;
    if (!take(parsed.key_epoch) || !text.empty()) return std::nullopt;
    return parsed;
  }
};

std::vector<ScalarShare> chosen_of(const std::vector<ScalarShare>& shares, const std::vector<bool>& chosen) {
  std::vector<ScalarShare> some;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (chosen[i]) some.push_back({shares[i].index, shares[i].value.clone()});
  }
  return some;
}

/// By the answers that are chosen.
SlotKey slot_key_of(const Header& header, const PassphraseKey& stretched, const CustodyClient::Evaluation& evaluation,
                    const std::vector<bool>& chosen, const Scalar& share) {
  std::vector<ElementShare> answers;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) answers.push_back(evaluation.answers[i]);
  }
  const auto output = oprf_finalize(stretched, evaluation.blind, interpolate_in_exponent(answers));
  const auto key = derive_key<SlotKey>(output, "casevault/v1/custody-oprf", header.vault_id);
  return mix_keys<SlotKey>(key, "casevault/v1/slot-custody", custody_share(header.vault_id, share));
}

/// What is announced, and under which name.
struct Forgetting {
  std::string file;
  Announced what;
};

/// Nothing of today hangs on it. Nobody signs what is announced, and whoever has the catalogue's key could announce
/// what is in use: an owner's program would have it deleted at all custodians.
bool is_of_before(const CatalogState& state, const Announced& announced) {
  const auto epoch = announced.custody_epoch;
  if (announced.kind == Announced::Kind::kCase) {
    const auto* entry = state.find_case(announced.number);
    return entry != nullptr && (announced.key_epoch < entry->epoch || epoch != entry->custody_epoch);
  }
  if (announced.kind == Announced::Kind::kHandover)
    return announced.key_epoch < state.epoch() || epoch != state.handover_custody();
  const auto* user = state.find_user(announced.user);
  if (user == nullptr) return false;
  const auto* present = state.find_user(user->keys.name);  // perhaps somebody who was let in under the same name
  return present == nullptr || !present->active || (present->slot_custody != epoch && state.custody_epoch() != epoch);
}

std::map<std::uint32_t, std::vector<Forgetting>> announced_by_epoch(Session& session) {
  std::map<std::uint32_t, std::vector<Forgetting>> by_epoch;
  for (const auto& file : session.catalog().unfinished()) {
    const auto announced = Announced::parse(file);
    if (announced && session.keys().header.custody_of(announced->custody_epoch) != nullptr &&
        is_of_before(session.state(), *announced))
      by_epoch[announced->custody_epoch].push_back({file, *announced});
  }
  return by_epoch;
}

/// For another time.
bool can_wait(const Error& error) {
  static constexpr std::array kWaiting = {Errc::kTooFewCustodians, Errc::kCustodiansRefused, Errc::kNotAllowed,
                                          Errc::kBusy, Errc::kNoSpace};
  return std::ranges::find(kWaiting, error.code()) != kWaiting.end();
}

SecretName secret_name(const CatalogState& state, const CustodyPlan& plan, const Announced& announced) {
  switch (announced.kind) {
    case Announced::Kind::kCase:
      return case_secret(plan, announced.number, announced.key_epoch);
    case Announced::Kind::kHandover:
      return handover_secret(plan, announced.key_epoch);
    case Announced::Kind::kUser:
      break;
  }
  const auto* user = state.find_user(announced.user);
  if (user == nullptr) throw Error(Errc::kDamaged, "catalog.db: a user to be forgotten is unknown", "casevault verify");
  return user_secret(plan, user->keys.name);
}

std::string name_for_people(const CatalogState& state, const Announced& announced) {
  if (announced.kind == Announced::Kind::kCase) return case_name(announced.number);
  if (announced.kind == Announced::Kind::kHandover) return "the catalogue";
  const auto* user = state.find_user(announced.user);
  return user != nullptr ? user->keys.name : to_hex(announced.user).substr(0, 8);
}

using Delete = std::function<void(const std::vector<SecretName>& names)>;

void forget_some(Session& session, const CustodyPlan& plan, const std::vector<Forgetting>& some,
                 const Delete& delete_all) {
  if (some.empty()) return;
  std::vector<SecretName> names;
  for (const auto& forgetting : some) names.push_back(secret_name(session.state(), plan, forgetting.what));
  try {
    delete_all(names);
  } catch (const Error& error) {
    const bool destroyed = error.code() == Errc::kDestroyed;
    if (!destroyed && !can_wait(error)) throw;
    if (!destroyed) return;
    if (some.size() > 1) {  // one of them was destroyed by an order, so all were refused
      for (const auto& forgetting : some) forget_some(session, plan, {forgetting}, delete_all);
      return;
    }
  }
  for (const auto& forgetting : some) session.catalog().set_finished(forgetting.file);
}

void forget_at(Session& session, const CustodyPlan& plan, const std::vector<Forgetting>& announced) {
  std::vector<Forgetting> users;
  std::vector<Forgetting> shares;
  for (const auto& forgetting : announced)
    (forgetting.what.kind == Announced::Kind::kUser ? users : shares).push_back(forgetting);
  const auto& owner = session.identity().signing;
  forget_some(session, plan, users,
              [&](const auto& names) { custodians_of(session, plan.epoch).delete_users(names, owner); });
  forget_some(session, plan, shares,
              [&](const auto& names) { custodians_of(session, plan.epoch).delete_shares(names, owner); });
}

}  // namespace

SlotKey custody_slot_key(const Header& header, const CustodyPlan& plan, const std::string& user,
                         const PassphraseKey& stretched, CustodyClient& custodians,
                         const std::function<bool(const SlotKey&)>& opens) {
  const auto name = user_secret(plan, user);
  const auto share = interpolate(custodians.release_shares(name, plan.threshold));
  std::optional<SlotKey> first, right;
  const auto try_key = [&](SlotKey key) {
    if (opens(key)) {
      right = std::move(key);
    } else if (!first) {
      first = std::move(key);
    }
    return right.has_value();
  };
  const auto evaluation = custodians.evaluate(name, stretched, [&](const CustodyClient::Evaluation& so_far) {
    return find_choice_with_last(so_far.answers.size(), plan.threshold, [&](const auto& chosen) {
      return try_key(slot_key_of(header, stretched, so_far, chosen, share));
    });
  });
  if (right) return *std::move(right);
  const auto shares = custodians.release_shares(name, plan.custodians.size());
  if (agree(evaluation.answers, plan.threshold) && agree(shares, plan.threshold)) return *std::move(first);
  find_choice(shares.size(), plan.threshold, [&](const auto& chosen_shares) {
    const auto other = interpolate(chosen_of(shares, chosen_shares));
    return find_choice(evaluation.answers.size(), plan.threshold, [&](const auto& chosen) {
      return try_key(slot_key_of(header, stretched, evaluation, chosen, other));
    });
  });
  if (right) return *std::move(right);
  throw Error(Errc::kTooFewCustodians,
              "the custodians contradict each other, so one at least answers falsely, and none of their answers opens "
              "anything: whether the passphrase was right cannot be told",
              kStatusHint);
}

SlotKey agreed_slot_key(const Header& header, const CustodyPlan& plan, const std::string& user,
                        const PassphraseKey& stretched, CustodyClient& custodians) {
  const auto name = user_secret(plan, user);
  const auto need = std::min<std::size_t>(plan.threshold + 1, plan.custodians.size());
  const auto shares = custodians.release_shares(name, plan.custodians.size());
  const auto evaluation = custodians.evaluate(name, stretched, [](const auto&) { return false; });
  if (shares.size() < need || evaluation.answers.size() < need) {
    throw Error(Errc::kTooFewCustodians,
                "a slot is sealed only with what " + std::to_string(need) + " custodians say alike, so that none can " +
                    "lie; fewer answered",
                kStatusHint);
  }
  if (!agree(evaluation.answers, plan.threshold) || !agree(shares, plan.threshold)) {
    throw Error(Errc::kTooFewCustodians, "the custodians contradict each other, so one at least answers falsely",
                kStatusHint);
  }
  const std::vector<bool> all(evaluation.answers.size(), true);
  return slot_key_of(header, stretched, evaluation, all, interpolate(shares));
}

CustodyClient connect(const Header& header, const CustodyPlan& plan, const Environment& environment) {
  auto device = load_device(environment, header.vault_id);
  if (!device) {
    throw Error(Errc::kNotAllowed, "the custodians of this vault do not know this machine",
                "casevault custody enroll-device");
  }
  return CustodyClient(header.vault_id, plan, std::move(*device), environment);
}

CustodyClient& custodians_of(Session& session, std::uint32_t custody_epoch) {
  auto& keys = session.keys();
  auto& client = keys.custodians[custody_epoch];
  if (!client) {
    const auto& header = keys.shown_header();
    client = std::make_shared<CustodyClient>(connect(header, plan_of(header, custody_epoch), session.environment()));
  }
  return *client;
}

const CustodyPlan* shown_plan(Session& session) {
  const auto& keys = session.keys();
  if (!keys.around) return keys.header.custody_of(session.state().custody_epoch());
  return keys.around->header.custody.empty() ? nullptr : &keys.around->header.custody.back();
}

CustodyClient& shown_custodians(Session& session) { return custodians_of(session, shown_plan(session)->epoch); }

CustodyShare custody_share(const VaultId& vault, const Scalar& scalar) {
  return derive_key<CustodyShare>(scalar, "casevault/v1/custody-share", vault);
}

namespace {

// The vault that a decoy stands for would ask for the case's share here. The user's own, which custodians give out
// under duress, too, takes a request and an answer of the same size.
void ask_as_the_vault_around(Session& session) {
  const auto* plan = shown_plan(session);
  if (plan != nullptr) shown_custodians(session).release({user_secret(*plan, session.user_name())});
}

}  // namespace

std::optional<CustodyShare> release_case_share(Session& session, const CaseEntry& entry) {
  if (session.keys().around) ask_as_the_vault_around(session);
  if (entry.custody_epoch == 0) return std::nullopt;
  const auto& header = session.keys().header;
  const auto name = case_secret(plan_of(header, entry.custody_epoch), entry.number, entry.epoch);
  return custody_share(header.vault_id, custodians_of(session, entry.custody_epoch).release(name, *entry.share));
}

std::optional<NewCaseShare> deal_case_share(Session& session, std::int64_t number, std::uint32_t key_epoch) {
  const auto epoch = session.state().custody_epoch();
  if (epoch == 0) return std::nullopt;
  const auto& header = session.keys().header;
  const auto& plan = plan_of(header, epoch);
  const auto name = case_secret(plan, number, key_epoch);
  auto& custodians = custodians_of(session, epoch);
  const auto secret = random_scalar();
  const auto deal = custodians.deal_case(name, secret, session.identity().signing);
  const auto released = custodians.release({name});
  if (!commits_to(deal.commitment, released.front())) {
    throw Error(Errc::kTooFewCustodians, case_name(number) + ": the custodians do not give back what they were given",
                "casevault custody status");
  }
  warn_of_missed(session, plan, deal.missed);
  return NewCaseShare{custody_share(header.vault_id, secret), deal.commitment, epoch, deal.missed};
}

std::vector<MissedSeat> deal_handover_share(Session& session, const Scalar& scalar, std::uint32_t catalog_epoch) {
  const auto custody_epoch = session.state().custody_epoch();
  const auto& plan = plan_of(session.keys().header, custody_epoch);
  const auto name = handover_secret(plan, catalog_epoch);
  auto& custodians = custodians_of(session, custody_epoch);
  auto deal = custodians.deal_handover(name, scalar, session.identity().signing);
  if (equal_constant_time(custodians.release({name}).front(), scalar)) {
    warn_of_missed(session, plan, deal.missed);
    return std::move(deal.missed);
  }
  throw Error(Errc::kTooFewCustodians, "the custodians do not give back what they were given; nothing was changed",
              "casevault custody status");
}

CustodyShare release_handover_share(const Header& header, const Environment& environment, std::uint32_t catalog_epoch) {
  if (header.custody.empty())
    throw Error(Errc::kDamaged, "vault.json does not name the custodians", "casevault verify");
  for (auto plan = header.custody.rbegin();; ++plan) {
    try {
      auto custodians = connect(header, *plan, environment);
      return custody_share(header.vault_id, custodians.release({handover_secret(*plan, catalog_epoch)}).front());
    } catch (const Error&) {
      if (std::next(plan) == header.custody.rend()) throw;
    }
  }
}

std::optional<CustodyShare> share_of(const std::optional<NewCaseShare>& dealt) {
  if (!dealt) return std::nullopt;
  return dealt->share.clone();
}

void put_share(nlohmann::json& statement, const std::optional<NewCaseShare>& dealt) {
  if (!dealt) return;
  statement["custody"] = dealt->custody_epoch;
  statement["share"] = to_hex(dealt->commitment.bytes);
}

void announce_forgotten_share(Catalog::Update& update, const CaseEntry& before) {
  if (before.custody_epoch == 0) return;
  Announced announced;
  announced.custody_epoch = before.custody_epoch;
  announced.number = before.number;
  announced.key_epoch = before.epoch;
  update.announce_file(announced.encode());
}

void announce_forgotten_user(Catalog::Update& update, std::uint32_t custody_epoch, const UserId& user) {
  Announced announced;
  announced.kind = Announced::Kind::kUser;
  announced.custody_epoch = custody_epoch;
  announced.user = user;
  update.announce_file(announced.encode());
}

void announce_forgotten_handover(Catalog::Update& update) {
  if (update.state().handover_custody() == 0) return;
  Announced announced;
  announced.kind = Announced::Kind::kHandover;
  announced.custody_epoch = update.state().handover_custody();
  announced.key_epoch = update.state().epoch();
  update.announce_file(announced.encode());
}

std::vector<StillToForget> still_to_forget(Session& session) {
  std::vector<StillToForget> waiting;
  for (const auto& [epoch, announced] : announced_by_epoch(session)) {
    StillToForget some{epoch, {}, {}};
    for (const auto& forgetting : announced) {
      auto name = name_for_people(session.state(), forgetting.what);
      if (std::ranges::find(some.of, name) == some.of.end()) some.of.push_back(std::move(name));
    }
    for (const auto& seat : session.keys().header.custody_of(epoch)->custodians)
      some.custodians.push_back(seat.custodian.name);
    waiting.push_back(std::move(some));
  }
  return waiting;
}

void forget_announced_shares(Session& session) {
  if (session.role() != Role::kOwner) return;
  for (const auto& [epoch, announced] : announced_by_epoch(session))
    forget_at(session, *session.keys().header.custody_of(epoch), announced);
  try {
    drop_former_plans(session);
  } catch (const Error& error) {
    if (!can_wait(error)) throw;
  }
}

}  // namespace casevault
