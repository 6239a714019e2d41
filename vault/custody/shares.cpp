#include "vault/custody/shares.h"

#include <algorithm>
#include <charconv>

#include "crypto/kdf.h"
#include "crypto/shamir.h"
#include "vault/access/session_keys.h"
#include "vault/custody/choices.h"
#include "vault/custody/device.h"
#include "vault/storage/catalog_state.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::string_view kAnnounced = "share/";
const std::string kStatusHint = "casevault custody status";

std::string case_name(std::int64_t number) { return "C-" + std::to_string(number); }

const CustodyPlan& plan_of(const Header& header, std::uint32_t epoch) {
  const auto* plan = header.custody_of(epoch);
  if (plan == nullptr) throw Error(Errc::kDamaged, "vault.json does not name the custodians", "casevault verify");
  return *plan;
}

SecretName name_of(const CustodyPlan& plan, std::int64_t number, std::uint32_t key_epoch) {
  return {custody_id(plan.salt, ScopeKind::kCase, case_name(number)), key_epoch};
}

/// `share/<custody epoch>/<case number>/<key epoch>`
struct Announced {
  std::uint32_t custody_epoch = 0;
  std::int64_t number = 0;
  std::uint32_t key_epoch = 0;

  std::string encode() const {
    return std::string(kAnnounced) + std::to_string(custody_epoch) + "/" + std::to_string(number) + "/" +
           std::to_string(key_epoch);
  }
  static std::optional<Announced> parse(std::string_view text) {
    if (!text.starts_with(kAnnounced)) return std::nullopt;
    text.remove_prefix(kAnnounced.size());
    Announced parsed;
    const auto take = [&](auto& number) {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      text.remove_prefix(static_cast<std::size_t>(end - text.data()));
      if (text.starts_with("/")) text.remove_prefix(1);
      return error == std::errc();
    };
    if (!take(parsed.custody_epoch) || !take(parsed.number) || !take(parsed.key_epoch) || !text.empty())
      return std::nullopt;
    return parsed;
  }
};

SecretName name_of(const CustodyPlan& plan, const std::string& user) {
  return {custody_id(plan.salt, ScopeKind::kUser, user), plan.epoch};
}

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

}  // namespace

SlotKey custody_slot_key(const Header& header, const CustodyPlan& plan, const std::string& user,
                         const PassphraseKey& stretched, CustodyClient& custodians,
                         const std::function<bool(const SlotKey&)>& opens) {
  const auto name = name_of(plan, user);
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
  const auto name = name_of(plan, user);
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
    client = std::make_shared<CustodyClient>(
        connect(keys.header, plan_of(keys.header, custody_epoch), session.environment()));
  }
  return *client;
}

CustodyShare custody_share(const VaultId& vault, const Scalar& scalar) {
  return derive_key<CustodyShare>(scalar, "casevault/v1/custody-share", vault);
}

std::shared_ptr<Cover> make_cover(const Header& header, const CustodyPlan& plan, const Environment& environment,
                                  const std::string& user) {
  return std::make_shared<Cover>(
      Cover{connect(header, plan, environment), {custody_id(plan.salt, ScopeKind::kUser, user), plan.epoch}});
}

std::optional<CustodyShare> release_case_share(Session& session, const CaseEntry& entry) {
  if (const auto& cover = session.keys().cover) cover->custodians.release({cover->own});
  if (entry.custody_epoch == 0) return std::nullopt;
  const auto& header = session.keys().header;
  const auto name = name_of(plan_of(header, entry.custody_epoch), entry.number, entry.epoch);
  return custody_share(header.vault_id, custodians_of(session, entry.custody_epoch).release(name, *entry.share));
}

std::optional<NewCaseShare> deal_case_share(Session& session, std::int64_t number, std::uint32_t key_epoch) {
  const auto epoch = session.state().custody_epoch();
  if (epoch == 0) return std::nullopt;
  const auto& header = session.keys().header;
  const auto name = name_of(plan_of(header, epoch), number, key_epoch);
  auto& custodians = custodians_of(session, epoch);
  const auto secret = random_scalar();
  const auto commitment = custodians.deal_case(name, secret, session.identity().signing);
  const auto released = custodians.release({name});
  if (!commits_to(commitment, released.front())) {
    throw Error(Errc::kTooFewCustodians, case_name(number) + ": the custodians do not give back what they were given",
                "casevault custody status");
  }
  return NewCaseShare{custody_share(header.vault_id, secret), commitment, epoch};
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
  update.announce_file(Announced{before.custody_epoch, before.number, before.epoch}.encode());
}

void forget_announced_shares(Session& session) {
  if (session.role() != Role::kOwner) return;
  std::map<std::uint32_t, std::vector<std::pair<std::string, SecretName>>> by_epoch;
  for (const auto& file : session.catalog().unfinished()) {
    const auto announced = Announced::parse(file);
    const auto* plan = announced ? session.keys().header.custody_of(announced->custody_epoch) : nullptr;
    if (plan == nullptr) continue;
    by_epoch[announced->custody_epoch].emplace_back(file, name_of(*plan, announced->number, announced->key_epoch));
  }
  for (const auto& [epoch, shares] : by_epoch) {
    try {
      std::vector<SecretName> names;
      for (const auto& [file, name] : shares) names.push_back(name);
      custodians_of(session, epoch).delete_shares(names, session.identity().signing);
      for (const auto& [file, name] : shares) session.catalog().set_finished(file);
    } catch (const Error& error) {
      if (error.code() != Errc::kTooFewCustodians && error.code() != Errc::kCustodiansRefused) throw;
    }
  }
}

}  // namespace casevault
