#include "vault/replica/manifest.h"

#include <charconv>
#include <numeric>

#include "crypto/aead.h"
#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/kdf.h"
#include "vault/access/session_keys.h"
#include "vault/replica/layout.h"
#include "vault/storage/catalog_state.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr int kFormat = 1;
constexpr std::string_view kSignatureDomain = "casevault/v1/replica";
constexpr std::size_t kMaxFiles = 100'000;
constexpr std::size_t kMaxLists = 256;
constexpr std::size_t kMaxChunks = 1u << 22;
using SealKey = Key<struct ReplicaSealPurpose>;

SealKey seal_key(const CatalogKey& key, const VaultId& vault) {
  return derive_key<SealKey>(key, "casevault/v1/replica-seal", vault);
}

nlohmann::json lists_to_json(const std::vector<BodyList>& lists) {
  auto json = nlohmann::json::array();
  for (const auto& list : lists) {
    json.push_back({{"bytes", list.bytes}, {"count", list.count}, {"hash", to_hex(list.hash)}, {"size", list.size}});
  }
  return json;
}

nlohmann::json file_to_json(const ReplicaFile& file) {
  auto chunks = nlohmann::json::array();
  for (const auto& chunk : file.chunks) chunks.push_back(to_hex(chunk));
  return {{"chunks", std::move(chunks)}, {"hash", to_hex(file.hash)}, {"name", file.name}, {"size", file.size}};
}

nlohmann::json unsealed_fields(const Manifest& manifest) {
  auto files = nlohmann::json::array();
  for (const auto& file : manifest.files) files.push_back(file_to_json(file));
  return {{"casevault", "replica"},
          {"format", kFormat},
          {"vault", to_hex(manifest.vault)},
          {"number", manifest.number},
          {"time", manifest.time_ms},
          {"log_size", manifest.log.size},
          {"log_root", to_hex(manifest.log.root)},
          {"previous", manifest.previous},
          {"files", std::move(files)},
          {"bodies", lists_to_json(manifest.bodies)},
          {"spare_bodies", lists_to_json(manifest.spare_bodies)}};
}

Sha256Digest digest_of(const Manifest& manifest) { return sha256(as_bytes(unsealed_fields(manifest).dump())); }

Sha256Digest digest_from(const nlohmann::json& text, const Fields& fields) {
  const auto digest = text.is_string() ? array_from_hex<32>(text.get<std::string>()) : std::nullopt;
  if (!digest) fields.fail();
  return *digest;
}

ReplicaFile file_from_json(const nlohmann::json& object, const std::string& what) {
  Fields fields(object, what);
  ReplicaFile file;
  file.name = fields.text("name");
  file.size = fields.count("size");
  file.hash = fields.hex<32>("hash");
  for (const auto& chunk : fields.list("chunks", kMaxChunks)) file.chunks.push_back(digest_from(chunk, fields));
  fields.end();
  const auto expected = file.size / kReplicaChunkSize + (file.size % kReplicaChunkSize != 0 ? 1 : 0);
  if (!is_replicated_file(file.name) || file.chunks.size() != expected) fields.fail();
  return file;
}

std::vector<BodyList> lists_from_json(Fields& fields, const char* key, const std::string& what) {
  std::vector<BodyList> lists;
  for (const auto& item : fields.list(key, kMaxLists)) {
    if (!item.is_object()) fields.fail();
    Fields list(item, what);
    lists.push_back({list.hex<32>("hash"), list.count("size"), list.count("count"), list.count("bytes")});
    list.end();
    if (lists.back().size > kMaxBodyListSize) fields.fail();
  }
  return lists;
}

std::uint64_t sum(const std::vector<BodyList>& lists, std::uint64_t BodyList::*member) {
  return std::accumulate(lists.begin(), lists.end(), std::uint64_t{0},
                         [&](std::uint64_t total, const BodyList& list) { return total + list.*member; });
}

}  // namespace

std::uint64_t Manifest::body_count() const {
  return sum(bodies, &BodyList::count) + sum(spare_bodies, &BodyList::count);
}
std::uint64_t Manifest::body_bytes() const {
  return sum(bodies, &BodyList::bytes) + sum(spare_bodies, &BodyList::bytes);
}

Bytes encode_manifest(const Manifest& manifest) {
  auto fields = unsealed_fields(manifest);
  fields["seal"] = to_base64(manifest.seal);
  const auto text = fields.dump() + "\n";
  return {as_bytes(text).begin(), as_bytes(text).end()};
}

Manifest parse_manifest(ByteView file, const std::string& what) {
  if (file.empty() || file.back() != std::byte{'\n'}) throw Error(Errc::kDamaged, what + " is damaged: it is cut off");
  const auto parsed = parse_canonical(as_text(file.first(file.size() - 1)), what);
  Fields fields(parsed, what);
  if (fields.text("casevault") != "replica") fields.fail();
  if (fields.count("format") != kFormat) {
    throw Error(Errc::kNoVault, what + " was made by a newer casevault", "install a newer casevault");
  }
  Manifest manifest;
  manifest.vault = fields.hex<16>("vault");
  manifest.number = fields.count("number");
  manifest.time_ms = fields.time("time");
  manifest.log = {fields.count("log_size"), fields.hex<32>("log_root")};
  manifest.previous = fields.text("previous");
  if (!manifest.previous.empty() && !array_from_hex<32>(manifest.previous)) fields.fail();
  for (const auto& item : fields.list("files", kMaxFiles)) {
    if (!item.is_object()) fields.fail();
    manifest.files.push_back(file_from_json(item, what));
    const auto count = manifest.files.size();
    if (count > 1 && manifest.files[count - 2].name >= manifest.files[count - 1].name) fields.fail();
  }
  manifest.bodies = lists_from_json(fields, "bodies", what);
  manifest.spare_bodies = lists_from_json(fields, "spare_bodies", what);
  const auto seal = from_base64(fields.text("seal"));
  if (!seal || manifest.number == 0) fields.fail();
  manifest.seal = *seal;
  fields.end();
  return manifest;
}

void seal_manifest(Manifest& manifest, Session& session) {
  const auto digest = digest_of(manifest);
  const nlohmann::json plain = {{"by", to_hex(session.user_id())},
                                {"signature", to_base64(session.identity().signing.sign(kSignatureDomain, digest))}};
  manifest.seal = aead_seal(seal_key(session.keys().catalog_key, manifest.vault), as_bytes(plain.dump()), digest);
}

std::optional<std::string> signer_of(const Manifest& manifest, Session& session) {
  return signer_of(manifest, session.keys().catalog_key, session.state());
}

std::optional<std::string> signer_of(const Manifest& manifest, const CatalogKey& key, const CatalogState& users) {
  const auto digest = digest_of(manifest);
  const auto plain = aead_open_content(seal_key(key, manifest.vault), manifest.seal, digest);
  if (!plain) return std::nullopt;
  const auto parsed = parse_canonical(as_text(*plain), "the seal of the snapshot");
  Fields fields(parsed, "the seal of the snapshot");
  const auto* user = users.find_user(fields.hex<16>("by"));
  const auto signature = from_base64(fields.text("signature"));
  fields.end();
  if (user == nullptr || !signature || signature->size() != 64) return std::nullopt;
  if (!verify(user->keys.sign, kSignatureDomain, digest, to_array<64>(*signature))) return std::nullopt;
  return user->keys.name;
}

std::string encode_body_list(const std::vector<ReplicaBody>& bodies) {
  std::string text;
  for (const auto& body : bodies) {
    text += to_hex(body.id) + " " + std::to_string(body.size) + " " + to_hex(body.hash) + "\n";
  }
  return text;
}

std::vector<ReplicaBody> parse_body_list(std::string_view text, const std::string& what) {
  std::vector<ReplicaBody> bodies;
  const auto whole = text;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto space = line.rfind(' ');
    const auto id = array_from_hex<16>(line.substr(0, std::min<std::size_t>(32, line.size())));
    const auto hash = space == std::string_view::npos ? std::nullopt : array_from_hex<32>(line.substr(space + 1));
    std::uint64_t size = 0;
    const bool fits = id && hash && space > 33;
    if (fits) std::from_chars(line.data() + 33, line.data() + space, size);
    if (!fits || (!bodies.empty() && bodies.back().id >= *id)) throw Error(Errc::kDamaged, what + " is damaged");
    bodies.push_back({*id, size, *hash});
  }
  if (encode_body_list(bodies) != whole) throw Error(Errc::kDamaged, what + " is damaged");
  return bodies;
}

}  // namespace casevault
