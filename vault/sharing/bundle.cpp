#include "vault/sharing/bundle.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "vault/storage/json.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::string_view kDomain = "casevault/v1/bundle";
constexpr int kFormat = 1;
constexpr const char* kWhat = "casevault/bundle.json";

nlohmann::json without_signature(const Bundle& bundle) {
  auto recipients = nlohmann::json::array();
  for (const auto& mark : bundle.recipients) recipients.push_back(to_hex(mark));
  auto vaults = nlohmann::json::array();
  for (const auto& vault : bundle.vaults) vaults.push_back(to_json(vault));
  auto records = nlohmann::json::array();
  for (const auto& record : bundle.records) {
    auto hops = nlohmann::json::array();
    for (const auto& hop : record.hops) hops.push_back(to_json(hop));
    records.push_back({{"hops", std::move(hops)}, {"path", record.path}});
  }
  return {{"age", bundle.age},
          {"by", to_hex(bundle.by)},
          {"casevault", "bundle"},
          {"format", kFormat},
          {"log_root", to_hex(bundle.log.root)},
          {"log_size", bundle.log.size},
          {"note", bundle.note},
          {"recipients", std::move(recipients)},
          {"records", std::move(records)},
          {"salt", to_hex(bundle.salt)},
          {"sign", bundle.sign},
          {"time", bundle.time_ms},
          {"vault", to_hex(bundle.vault)},
          {"vaults", std::move(vaults)}};
}

Bundle bundle_from(Fields& fields) {
  Bundle bundle;
  bundle.age = fields.text("age");
  bundle.by = fields.hex<16>("by");
  bundle.log = {fields.count("log_size"), fields.hex<32>("log_root")};
  bundle.note = fields.text("note");
  bundle.salt = fields.hex<16>("salt");
  bundle.sign = fields.text("sign");
  bundle.time_ms = fields.time("time");
  bundle.vault = fields.hex<16>("vault");
  for (const auto& item : fields.list("recipients", 1000)) {
    const auto mark = item.is_string() ? array_from_hex<32>(item.get<std::string>()) : std::nullopt;
    if (!mark) fields.fail();
    bundle.recipients.push_back(*mark);
  }
  for (const auto& item : fields.list("vaults", 1000))
    bundle.vaults.push_back(vault_certificates_from_json(item, kWhat));
  for (const auto& item : fields.list("records", kMaxBundleRecords)) {
    Fields record(item, kWhat);
    auto path = record.text("path");
    bundle.records.push_back(
        {path, hops_from_json(record.any("hops"), std::string(kWhat) + ": " + escape_for_display(path))});
    record.end();
  }
  if (bundle.note.size() > kMaxNoteToPartner || !is_utf8(bundle.note)) fields.fail();
  return bundle;
}

}  // namespace

MinisignPublicKey minisign_key(const VerifyKey& key) {
  const auto digest = blake2b_128({as_bytes("casevault/v1/minisign-id"), key.bytes});
  return {to_array<8>(digest), key};
}

bool is_own_key(const SharingState& sharing, std::string_view age, std::string_view sign) {
  return std::ranges::any_of(sharing.own_keys(), [&](const OrganisationPublicKeys& keys) {
    return keys.age == age || minisign_key(keys.sign).encode() == sign;
  });
}

std::string contact_fingerprint(std::string_view age, std::string_view sign) {
  constexpr ByteArray<1> kZero{};
  return to_proquints(
      blake2b_128({as_bytes("casevault/v1/contact-fingerprint"), as_bytes(age), kZero, as_bytes(sign)}));
}

std::string log_origin(const VaultId& vault) { return "casevault/" + to_hex(vault); }

ByteArray<32> recipient_mark(const ByteArray<16>& salt, std::string_view age) {
  return blake2b_256({as_bytes("casevault/v1/bundle-recipient"), salt, as_bytes(age)});
}

SignedBundle sign_bundle(Bundle bundle, const SigningKey& key) {
  const auto signature = key.sign(kDomain, as_bytes(without_signature(bundle).dump()));
  return {std::move(bundle), signature};
}

std::string encode_bundle(const SignedBundle& bundle) {
  auto object = without_signature(bundle.bundle);
  object["signature"] = to_base64(bundle.signature);
  return object.dump();
}

SignedBundle parse_bundle(std::string_view text) {
  const auto object = parse_canonical(text, kWhat);
  Fields fields(object, kWhat);
  if (fields.text("casevault") != "bundle") fields.fail();
  if (fields.count("format") != kFormat) {
    throw Error(Errc::kDamaged, std::string(kWhat) + " is of a newer format; this casevault reads format 1",
                "install a newer casevault");
  }
  const auto signature = from_base64(fields.text("signature"));
  SignedBundle bundle{bundle_from(fields), {}};
  fields.end();
  if (!signature || signature->size() != bundle.signature.size()) fields.fail();
  bundle.signature = to_array<64>(*signature);
  return bundle;
}

CheckedBundle check_bundle(SignedBundle signed_bundle) {
  const auto message = without_signature(signed_bundle.bundle).dump();
  CheckedBundle checked{std::move(signed_bundle.bundle), {}};
  for (const auto& certificates : checked.bundle.vaults) {
    const auto what = std::string(kWhat) + ": the vault " + to_hex(certificates.vault);
    if (!checked.vaults.emplace(certificates.vault, ForeignVault(certificates, what)).second)
      throw Error(Errc::kDamaged, what + " stands in it twice");
  }
  const auto sender = checked.vaults.find(checked.bundle.vault);
  const auto* person = sender == checked.vaults.end() ? nullptr : sender->second.find(checked.bundle.by);
  const bool signed_by_person = person != nullptr && person->role != Role::kAuditor &&
                                verify(person->keys.sign, kDomain, as_bytes(message), signed_bundle.signature);
  if (!signed_by_person) {
    throw Error(Errc::kDamaged, std::string(kWhat) + " is forged or damaged: its signature is not its author's");
  }
  return checked;
}

}  // namespace casevault
