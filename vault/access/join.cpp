#include "vault/access/join.h"

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/random.h"
#include "vault/storage/catalog_state.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::string_view kDomain = "casevault/v1/join-request";
constexpr std::string_view kPrefix = "join-";
constexpr std::size_t kRequestSize = 640;  // bytes of JSON, padded with spaces: the name's length does not show
constexpr std::size_t kFileSize = kSlotSize + kRequestSize + kSealedBoxOverhead;
constexpr std::size_t kMaxPending = 1000;

Bytes signed_message(const VaultId& vault, const UserKeys& keys, std::int64_t time_ms, const SealedSlot& slot) {
  return concat({vault, as_bytes(user_to_json(keys).dump()), be64(static_cast<std::uint64_t>(time_ms)), sha256(slot)});
}

std::vector<Path> request_files(const Path& folder) {
  std::vector<Path> files;
  for (const auto& name : list_directory(folder / "handover")) {
    if (name.starts_with(kPrefix) && files.size() < kMaxPending) files.push_back(folder / "handover" / name);
  }
  return files;
}

std::optional<Bytes> read_request_file(const Path& path) {
  auto file = File::open_for_reading(path);
  if (!file || file->size() != kFileSize) return std::nullopt;
  return read_small_file(path, kFileSize);
}

SealedSlot slot_of(const Bytes& file) { return to_array<kSlotSize>(ByteView(file).first(kSlotSize)); }

/// @throws Error{kDamaged} when it is not a request or not signed by the keys it names.
JoinRequest parse_request(const VaultId& vault, std::string_view text, const SealedSlot& slot) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  const auto parsed = parse_canonical(text, "join request");
  Fields fields(parsed, "join request");
  JoinRequest request;
  request.keys = user_from_json(fields.any("user"), "join request");
  request.time_ms = fields.time("time");
  const auto signature = from_base64(fields.text("signature"));
  fields.end();
  const auto message = signed_message(vault, request.keys, request.time_ms, slot);
  if (!signature || signature->size() != 64 || !verify(request.keys.sign, kDomain, message, to_array<64>(*signature))) {
    fields.fail();
  }
  request.fingerprint = fingerprint(vault, request.keys);
  return request;
}

std::optional<JoinRequest> open_request(const VaultId& vault, const Bytes& file,
                                        const std::vector<BoxKeyPair>& audit_keys) {
  for (const auto& pair : audit_keys) {
    const auto plain = open_sealed_content(pair, ByteView(file).subspan(kSlotSize));
    if (!plain) continue;
    try {
      return parse_request(vault, as_text(*plain), slot_of(file));
    } catch (const Error&) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

void write_join_request(const Path& folder, const Header& header, const Identity& identity, const std::string& name,
                        const SealedSlot& slot, std::int64_t now_ms) {
  const auto keys = public_half(identity, name);
  const auto signature = identity.signing.sign(kDomain, signed_message(header.vault_id, keys, now_ms, slot));
  auto text =
      nlohmann::json{{"user", user_to_json(keys)}, {"time", now_ms}, {"signature", to_base64(signature)}}.dump();
  if (text.size() > kRequestSize) throw Error(Errc::kInternal, "the join request is too long");
  text.resize(kRequestSize, ' ');
  const auto sealed = seal_to(header.audit_key, as_bytes(text));
  write_new_file(folder / "handover" / (std::string(kPrefix) + to_hex(random_array<8>())), concat({slot, sealed}));
}

bool destroy_request(const Path& path) {
  if (!File::open_for_reading(path)) return false;
  // Under a name that means nothing first: half overwritten it would look like a damaged request.
  const auto partial = path.parent_path() / ("." + to_hex(random_array<8>()) + ".partial");
  replace_by_rename(path, partial);
  auto file = File::open_for_update(partial);
  if (!file) return false;
  Bytes noise(file->size());
  fill_random(noise);
  file->write_at(0, noise);
  file->sync();
  return remove_file(partial);
}

bool waits_for_approval(const Path& folder, const Header& header, const SlotKey& slot_key) {
  return std::ranges::any_of(request_files(folder), [&](const Path& path) {
    const auto file = read_request_file(path);
    return file && open_slot(header, slot_key, slot_of(*file)).has_value();
  });
}

PendingJoins read_join_requests(const Path& folder, const VaultId& vault, const std::vector<BoxKeyPair>& audit_keys) {
  PendingJoins pending;
  for (const auto& path : request_files(folder)) {
    const auto file = read_request_file(path);
    auto request = file ? open_request(vault, *file, audit_keys) : std::nullopt;
    if (request) {
      pending.requests.push_back({path, slot_of(*file), std::move(*request)});
    } else {
      pending.unreadable.push_back("handover/" + path.filename().string());
    }
  }
  std::ranges::sort(pending.requests, {},
                    [](const PendingJoin& p) { return std::pair(p.request.keys.name, p.request.time_ms); });
  return pending;
}

}  // namespace casevault
