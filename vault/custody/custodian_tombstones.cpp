#include "vault/custody/custodian_tombstones.h"

#include <algorithm>

#include "crypto/aead.h"
#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/text_lines.h"
#include "vault/custody/custodian_messages.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr const char* kWhat = "the file 'tombstones'";
constexpr std::string_view kLabel = "casevault/v1/custodian-tombstone";

nlohmann::json to_json(const std::vector<CardSignature>& signatures) {
  auto list = nlohmann::json::array();
  for (const auto& signature : signatures) {
    list.push_back({{"card", to_hex(signature.card.bytes)}, {"signature", to_base64(signature.signature)}});
  }
  return list;
}

nlohmann::json to_json(const std::vector<VerifyKey>& keys) {
  auto list = nlohmann::json::array();
  for (const auto& key : keys) list.push_back(to_hex(key.bytes));
  return list;
}

std::string encode(const Tombstone& tombstone) {
  const nlohmann::json json = {{"at", tombstone.at},
                               {"key", tombstone.key ? to_hex(tombstone.key->bytes) : ""},
                               {"owners", to_json(tombstone.owners)},
                               {"signatures", to_json(tombstone.signatures)},
                               {"signers", to_json(tombstone.signers)},
                               {"statement", tombstone.statement},
                               {"vault", to_hex(tombstone.vault)}};
  return json.dump();
}

CardSignature card_signature(const nlohmann::json& object) {
  Fields fields(object, kWhat);
  CardSignature out{{fields.hex<32>("card")}, {}};
  const auto signature = array_from_base64<64>(fields.text("signature"));
  if (!signature) fields.fail();
  out.signature = *signature;
  fields.end();
  return out;
}

std::vector<VerifyKey> keys_of(Fields& fields, const char* name) {
  std::vector<VerifyKey> keys;
  for (const auto& item : fields.list(name, kMaxOwners)) {
    const auto key = item.is_string() ? array_from_hex<32>(item.get_ref<const std::string&>()) : std::nullopt;
    if (!key) fields.fail();
    keys.push_back({*key});
  }
  return keys;
}

bool has(const std::vector<VerifyKey>& keys, const VerifyKey& key) {
  return std::ranges::find(keys, key) != keys.end();
}

std::string seal(const TombstoneKey& key, const Tombstone& tombstone) {
  return to_base64(aead_seal(key, as_bytes(encode(tombstone)), as_bytes(kLabel))) + "\n";
}

Bytes open_line(const TombstoneKey& key, std::string_view line) {
  const auto sealed = from_base64(line);
  auto plain = sealed ? aead_open_content(key, *sealed, as_bytes(kLabel)) : std::nullopt;
  if (!plain) throw Error(Errc::kDamaged, std::string(kWhat) + " is damaged, or belongs to another store.key");
  return *std::move(plain);
}

Tombstone decode(std::string_view text) {
  const auto json = parse_canonical(text, kWhat);
  Fields fields(json, kWhat);
  Tombstone tombstone{.at = fields.time("at"),
                      .statement = fields.text("statement"),
                      .terms = {},
                      .signatures = {},
                      .key = {},
                      .vault = fields.hex<16>("vault"),
                      .owners = keys_of(fields, "owners"),
                      .signers = keys_of(fields, "signers")};
  tombstone.terms = parse_order(tombstone.statement);
  for (const auto& item : fields.list("signatures", kMaxCards)) tombstone.signatures.push_back(card_signature(item));
  if (const auto text = fields.text("key"); !text.empty()) {
    const auto key = array_from_hex<32>(text);
    if (!key) fields.fail();
    tombstone.key = VerifyKey{*key};
  }
  fields.end();
  return tombstone;
}

File open_or_create(const Path& path) {
  if (auto file = File::open_for_update(path)) return *std::move(file);
  write_new_file(path, {});
  auto file = File::open_for_update(path);
  require(file.has_value(), "a file that was just made is gone");
  return *std::move(file);
}

}  // namespace

bool Tombstone::is_about(const VaultId& id, const VerifyKey& by, const std::vector<VerifyKey>& now_owners) const {
  if (terms.vault != id) return false;
  if (has(signers, by)) return true;
  return has(owners, by) && std::ranges::any_of(signers, [&](const VerifyKey& key) { return has(now_owners, key); });
}

bool Tombstone::is_about(const Vault& now) const {
  if (terms.vault == now.id && vault == now.key) return true;
  return is_about(now.id, now.policy_text.by, now.policy.owners);
}

Tombstones Tombstones::open(const Path& data, TombstoneKey key) {
  Tombstones tombstones(open_or_create(data / "tombstones"), std::move(key));
  Bytes content(tombstones.file_.size());
  content.resize(tombstones.file_.read_at(0, content));
  LineReader lines(as_text(content));
  while (const auto line = lines.next()) tombstones.take(decode(as_text(open_line(tombstones.key_, *line))));
  tombstones.size_ = content.size() - lines.rest().size();
  tombstones.file_.truncate(tombstones.size_);
  return tombstones;
}

void Tombstones::append(Tombstone tombstone) {
  const auto line = seal(key_, tombstone);
  file_.write_at(size_, as_bytes(line));
  file_.sync();
  size_ += line.size();
  take(std::move(tombstone));
}

void Tombstones::take(Tombstone tombstone) {
  if (tombstone.terms.type == OrderType::kDestroy && !tombstone.terms.kind) destroyed_.insert(tombstone.terms.vault);
  all_.push_back(std::move(tombstone));
}

}  // namespace casevault::custodian
