#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/secret_layout.h"
#include "vault/custody/client_parts.h"
#include "vault/custody/share_pile.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::string_view kReleaseMagic = "CVL1";
constexpr std::size_t kMaxReleases = 64;  // in one request
const std::string kAnswer = "a custodian's answer";

/// What is asked for, and what has come of it.
struct Wanted {
  SecretName name;
  SharePile pile;
};

nlohmann::json release_fields(const BoxPublicKey& box, std::span<const SecretName> names) {
  auto secrets = nlohmann::json::array();
  for (const auto& name : names) secrets.push_back({{"id", to_hex(name.id)}, {"version", name.version}});
  return {{"box", to_hex(box.bytes)}, {"secrets", secrets}};
}

Scalar open_share(const BoxKeyPair& keys, Fields& fields, const VaultId& vault, const SecretName& name,
                  std::uint32_t index) {
  const auto sealed = from_base64(fields.text("sealed"));
  const auto plain = sealed ? open_sealed(keys, *sealed) : std::nullopt;
  if (!plain) fields.fail();
  SecretReader reader(*plain);
  const bool is_it = reader.take<4>() == to_array<4>(as_bytes(kReleaseMagic)) && reader.take<16>() == vault &&
                     reader.take<16>() == name.id && reader.take<4>() == be32(name.version) &&
                     reader.take<4>() == be32(index);
  auto scalar = parse_scalar(reader.take_key<Scalar>());
  if (!is_it || !scalar || reader.left() != 0) fields.fail();
  return *std::move(scalar);
}

/// One custodian's shares, in the order of `names`. @throws RefusedInside for the first that it refuses.
std::vector<Scalar> open_released(const BoxKeyPair& keys, const std::string& body, const VaultId& vault,
                                  std::span<const SecretName> names, std::uint32_t index) {
  const auto object = parse_canonical(body, kAnswer);
  Fields fields(object, kAnswer);
  const auto& list = fields.list("released", names.size());
  if (fields.count("index") != index || list.size() != names.size()) fields.fail();
  fields.end();
  std::vector<Scalar> shares;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Fields item(list[i], kAnswer);
    if (item.hex<16>("id") != names[i].id || item.count("version") != names[i].version) item.fail();
    if (list[i].contains("error")) throw RefusedInside{item.text("error")};
    shares.push_back(open_share(keys, item, vault, names[i], index));
    item.end();
  }
  return shares;
}

/// For at most kMaxReleases secrets: hands on what comes until there is enough, or nothing more comes.
std::vector<CustodianReport> ask_for_shares(AllCustodians& all, const SigningKey& device,
                                            std::span<const SecretName> names,
                                            const std::function<void(std::size_t name, ScalarShare share)>& take_share,
                                            const std::function<bool()>& has_enough) {
  const auto keys = BoxKeyPair::random();
  const auto& settings = all.settings();
  const auto take = [&](std::size_t i, const std::string& body) {
    const auto index = settings.custodians[i].index;
    auto shares = open_released(keys, body, settings.vault, names, index);
    for (std::size_t j = 0; j < names.size(); ++j) take_share(j, {index, std::move(shares[j])});
  };
  return all.ask(
      {.request = [&](std::size_t i) { return all.post(i, "/v1/release", release_fields(keys.public_key, names)); },
       .signer = &device,
       .take = take,
       .enough = settings.threshold,
       .has_enough = has_enough});
}

void release_some(AllCustodians& all, const SigningKey& device, std::span<Wanted> wanted) {
  const auto is_found = [](const Wanted& one) { return one.pile.is_found(); };
  std::vector<SecretName> names;
  for (const auto& one : wanted) names.push_back(one.name);
  const auto threshold = all.settings().threshold;
  const auto reports = ask_for_shares(
      all, device, names, [&](std::size_t i, ScalarShare share) { wanted[i].pile.add(std::move(share)); },
      [&] { return std::ranges::all_of(wanted, is_found); });
  require_done(reports, threshold, threshold);
  if (std::ranges::all_of(wanted, is_found)) return;
  throw Error(Errc::kDamaged, "custodians answered with something else than their shares", "casevault custody status");
}

std::vector<Scalar> release_all(AllCustodians& all, const SigningKey& device, std::vector<Wanted> wanted) {
  std::vector<Scalar> secrets;
  for (std::size_t begin = 0; begin < wanted.size(); begin += kMaxReleases) {
    const auto some = std::span(wanted).subspan(begin, std::min(kMaxReleases, wanted.size() - begin));
    release_some(all, device, some);
    for (auto& one : some) secrets.push_back(one.pile.take());
  }
  return secrets;
}

Element take_evaluated(const std::string& body, std::uint32_t index) {
  const auto object = parse_canonical(body, kAnswer);
  Fields fields(object, kAnswer);
  const auto element = parse_element(fields.hex<32>("element"));
  if (!element || fields.count("index") != index) fields.fail();
  fields.count("tries");
  fields.end();
  return *element;
}

/// As require_done, about a user.
void require_user(const std::vector<CustodianReport>& reports, std::size_t threshold) {
  const auto unknown = std::ranges::count(reports, "unknown", &CustodianReport::refusal);
  if (static_cast<std::size_t>(unknown) >= threshold) {
    throw Error(Errc::kWrongPassphrase, "wrong user: the custodians know nobody of this name",
                "check the name after --user");
  }
  require_done(reports, threshold, threshold);
}

void take_confirmed(const std::string& body, TriesReport& tries) {
  const auto object = parse_canonical(body, kAnswer);
  Fields fields(object, kAnswer);
  auto checkpoint = fields.text("checkpoint");
  const auto since = fields.time("since");
  fields.time("time");
  const auto unconfirmed = fields.count("unconfirmed");
  fields.end();
  if (!checkpoint.empty()) tries.checkpoints.push_back(std::move(checkpoint));
  if (unconfirmed <= tries.unconfirmed) return;
  tries.unconfirmed = unconfirmed;
  tries.since_ms = since;
}

}  // namespace

CustodyClient::Evaluation CustodyClient::evaluate(const SecretName& name, const PassphraseKey& stretched,
                                                  const std::function<bool(const Evaluation&)>& is_enough) {
  auto& all = parts_->all;
  const auto threshold = parts_->plan.threshold;
  auto blinded = oprf_blind(stretched);
  Evaluation evaluation{std::move(blinded.blind), {}};
  bool has_enough = false;
  const nlohmann::json fields{
      {"element", to_hex(blinded.element.bytes)}, {"id", to_hex(name.id)}, {"version", name.version}};
  const auto take = [&](std::size_t i, const std::string& body) {
    const auto index = all.settings().custodians[i].index;
    evaluation.answers.push_back({index, take_evaluated(body, index)});
    has_enough = evaluation.answers.size() >= threshold && is_enough(evaluation);
  };
  const auto reports = all.ask({.request = [&](std::size_t i) { return all.post(i, "/v1/evaluate", fields); },
                                .signer = &parts_->device.key,
                                .take = take,
                                .enough = threshold,
                                .has_enough = [&] { return has_enough; }});
  require_user(reports, threshold);
  return evaluation;
}

OprfOutput CustodyClient::evaluate(const SecretName& name, const PassphraseKey& stretched) {
  const auto evaluation = evaluate(name, stretched, [](const Evaluation&) { return true; });
  return oprf_finalize(stretched, evaluation.blind, interpolate_in_exponent(evaluation.answers));
}

std::vector<ScalarShare> CustodyClient::release_shares(const SecretName& user, std::size_t enough) {
  std::vector<ScalarShare> shares;
  const auto reports = ask_for_shares(
      parts_->all, parts_->device.key, std::span(&user, 1),
      [&](std::size_t, ScalarShare share) { shares.push_back(std::move(share)); },
      [&] { return shares.size() >= enough; });
  require_user(reports, parts_->plan.threshold);
  return shares;
}

std::vector<Scalar> CustodyClient::release(const std::vector<SecretName>& names) {
  std::vector<Wanted> wanted;
  wanted.reserve(names.size());
  for (const auto& name : names) wanted.push_back({name, SharePile(parts_->plan.threshold, std::nullopt)});
  return release_all(parts_->all, parts_->device.key, std::move(wanted));
}

Scalar CustodyClient::release(const SecretName& name, const Element& commitment) {
  std::vector<Wanted> wanted;
  wanted.push_back({name, SharePile(parts_->plan.threshold, commitment)});
  return std::move(release_all(parts_->all, parts_->device.key, std::move(wanted)).front());
}

std::vector<Scalar> CustodyClient::Parts::shares_of(std::uint32_t index, const std::vector<MissedShare>& missed) {
  std::vector<Wanted> wanted;
  wanted.reserve(missed.size());
  for (const auto& one : missed) wanted.push_back({one.name, SharePile(plan.threshold, one.commitment)});
  release_some(all, device.key, wanted);
  std::vector<Scalar> shares;
  for (const auto& one : wanted) shares.push_back(one.pile.share_of(index));
  return shares;
}

TriesReport CustodyClient::confirm(const CustodyId& user, const SigningKey& key) {
  auto& all = parts_->all;
  TriesReport tries;
  const auto request = [&](std::size_t i) {
    const auto statement = all.statement(i, kConfirmDomain, "confirm", {{"id", to_hex(user)}}, key);
    return all.post(i, "/v1/confirm", {{"confirm", to_json(statement)}});
  };
  parts_->ask({.request = request, .take = [&](std::size_t, const std::string& body) { take_confirmed(body, tries); }},
              1);
  return tries;
}

OprfOutput oprf_alone(const Scalar& key, const PassphraseKey& stretched) {
  const auto blinded = oprf_blind(stretched);
  return oprf_finalize(stretched, blinded.blind, oprf_evaluate(key, blinded.element));
}

}  // namespace casevault
