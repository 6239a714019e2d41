#include "vault/audit/log.h"

#include <algorithm>

#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "vault/audit/disclosure.h"
#include "vault/storage/json.h"
#include "vault/text.h"

namespace casevault {
namespace {

// A record: magic ‖ sealed session key ‖ sealed state ‖ sealed entry.
// The entry: signature ‖ root of the tree before it ‖ length ‖ JSON ‖ zeros.
constexpr std::string_view kMagic = "CVA1";
constexpr std::size_t kSessionBoxSize = AuditSessionKey::kSize + kSealedBoxOverhead;
constexpr std::size_t kStateSize = 8 + 32 + kAeadOverhead;
constexpr std::size_t kStateAt = 4 + kSessionBoxSize;
constexpr std::size_t kEntryAt = kStateAt + kStateSize;
constexpr std::size_t kEntryPlainSize = kAuditRecordSize - kEntryAt - kAeadOverhead;
constexpr std::size_t kRootAt = 64;
constexpr std::size_t kLengthAt = kRootAt + 32;
constexpr std::size_t kJsonAt = kLengthAt + 2;
constexpr std::size_t kMaxJsonSize = kEntryPlainSize - kJsonAt;
constexpr std::size_t kMaxDeviceSize = 16;
constexpr std::string_view kSignatureDomain = "casevault/v1/audit-entry";
constexpr int kLockTimeoutMs = 10'000;
constexpr std::uint64_t kReserveStep = 16u << 10;

Bytes place(const VaultId& vault, std::uint64_t index) { return concat({vault, be64(index)}); }

AuditEntryKey entry_key(const AuditSessionKey& session, std::uint64_t index) {
  return derive_key<AuditEntryKey>(session, "casevault/v1/audit-entry-key", be64(index));
}

std::string cut_utf8(std::string text, std::size_t max) {
  if (text.size() <= max) return text;
  while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xC0) == 0x80) --max;
  text.resize(max);
  return text;
}

/// Always fits: a claimed user name may be any bytes, and as long as somebody likes.
std::string entry_json(const AuditEvent& event, const Identity* actor, const Environment& environment) {
  const auto device = is_utf8(environment.device) ? cut_utf8(environment.device, kMaxDeviceSize) : std::string();
  nlohmann::json entry = {{"action", event.action},
                          {"by", actor != nullptr ? to_hex(actor->id) : std::string()},
                          {"device", device},
                          {"outcome", event.outcome},
                          {"time", environment.now_ms()}};
  auto objects = is_utf8(event.objects) ? event.objects : escape_for_display(event.objects);
  entry["objects"] = objects;
  while (entry.dump().size() > kMaxJsonSize && !objects.empty()) {
    objects = cut_utf8(objects, objects.size() - 1);
    entry["objects"] = objects;
  }
  return entry.dump();
}

std::optional<OpenedEntry> parse_entry(std::string_view json) {
  try {
    const auto parsed = parse_canonical(json, "audit entry");
    Fields fields(parsed, "audit entry");
    OpenedEntry entry;
    entry.event.action = fields.text("action");
    const auto by = fields.text("by");
    entry.by = array_from_hex<16>(by);
    if (!by.empty() && !entry.by) return std::nullopt;
    entry.device = fields.text("device");
    entry.event.objects = fields.text("objects");
    entry.event.outcome = fields.text("outcome");
    entry.time_ms = fields.time("time");
    fields.end();
    return entry;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

void AuditLog::create(const Path& folder) {
  File::create_new(folder / "log").sync();
  auto reserve = File::create_new(folder / "reserve");
  reserve.allocate(kAuditReserveSize);
  reserve.sync();
}

AuditLog::AuditLog(File file, Path reserve, const VaultId& vault, const BoxPublicKey& audit_key,
                   const Environment& environment)
    : file_(std::move(file)),
      reserve_(std::move(reserve)),
      vault_(vault),
      environment_(environment),
      session_key_(AuditSessionKey::random()),
      sealed_session_key_(seal_to(audit_key, session_key_)) {}

AuditLog AuditLog::open(const Path& folder, const VaultId& vault, const BoxPublicKey& audit_key,
                        const Environment& environment) {
  auto file = [&] {
    try {
      return File::open_for_update(folder / "log");
    } catch (const Error& error) {
      throw Error(Errc::kAuditUnavailable,
                  std::string("the audit log cannot be written, so nothing can be opened: ") + error.what(),
                  "copy the vault to a disk that can be written");
    }
  }();
  if (!file) throw Error(Errc::kDamaged, "audit/log is missing", "restore the whole vault from one copy");
  AuditLog log(std::move(*file), folder / "reserve", vault, audit_key, environment);
  log.catch_up();
  return log;
}

void AuditLog::catch_up() {
  constexpr std::size_t kBlock = 2048 * kAuditRecordSize;
  const auto whole = file_.size() / kAuditRecordSize;
  if (whole < leaves_.size()) throw Error(Errc::kDamaged, "audit/log was cut short", "casevault verify");
  Bytes block(std::min<std::uint64_t>(kBlock, (whole - leaves_.size()) * kAuditRecordSize));
  while (leaves_.size() < whole) {
    const auto want = std::min<std::uint64_t>(block.size(), (whole - leaves_.size()) * kAuditRecordSize);
    const auto got = file_.read_at(leaves_.size() * kAuditRecordSize, std::span(block).first(want));
    if (got != want) throw Error(Errc::kDamaged, "audit/log was cut short while it was read", "casevault verify");
    for (std::size_t at = 0; at < got; at += kAuditRecordSize) {
      leaves_.push_back(merkle_leaf_hash(ByteView(block).subspan(at, kAuditRecordSize)));
      frontier_.append(leaves_.back());
    }
  }
}

TreeHash AuditLog::root_at(std::uint64_t size) const {
  if (size == leaves_.size()) return frontier_.root();
  return roots_at({size}).at(size);
}

std::map<std::uint64_t, TreeHash> AuditLog::roots_at(const std::set<std::uint64_t>& sizes) const {
  std::map<std::uint64_t, TreeHash> roots;
  MerkleFrontier frontier;
  for (const auto size : sizes) {
    if (size > leaves_.size()) break;
    while (frontier.size() < size) frontier.append(leaves_[frontier.size()]);
    roots[size] = frontier.root();
  }
  return roots;
}

Bytes AuditLog::compose(const AuditEvent& event, const Identity* actor, const State* state) const {
  const auto index = frontier_.size();
  const auto where = place(vault_, index);
  const auto root = frontier_.root();
  const auto json = entry_json(event, actor, environment_);
  if (json.size() > kMaxJsonSize) throw Error(Errc::kInternal, "an audit entry is too long");
  Bytes plain(kEntryPlainSize);
  if (actor != nullptr) {
    const auto signature = actor->signing.sign(kSignatureDomain, concat({where, root, as_bytes(json)}));
    std::ranges::copy(signature, plain.begin());
  }
  std::ranges::copy(root, plain.begin() + kRootAt);
  plain[kLengthAt] = static_cast<std::byte>(json.size() >> 8);
  plain[kLengthAt + 1] = static_cast<std::byte>(json.size());
  std::ranges::copy(as_bytes(json), plain.begin() + kJsonAt);
  const auto sealed_entry = aead_seal(entry_key(session_key_, index), plain, where);

  Bytes sealed_state(kStateSize);
  if (state != nullptr) {
    const auto head = concat({be64(state->head.count), state->head.hash});
    sealed_state = aead_seal(state->key, head, concat({vault_, be64(index)}));
  } else {
    fill_random(sealed_state);
  }
  return concat({as_bytes(kMagic), sealed_session_key_, sealed_state, sealed_entry});
}

bool AuditLog::free_some_reserve() noexcept {
  try {
    auto reserve = File::open_for_update(reserve_);
    if (!reserve || reserve->size() < kReserveStep) return false;
    reserve->truncate(reserve->size() - kReserveStep);
    return true;
  } catch (const Error&) {
    return false;
  }
}

void AuditLog::write_record(ByteView record) {
  const auto end = leaves_.size() * kAuditRecordSize;
  // A tail that is no whole record was never acknowledged: a crash left it.
  if (file_.size() > end) file_.truncate(end);
  try {
    file_.write_at(end, record);
    file_.sync();
  } catch (const Error& error) {
    if (file_.size() > end) file_.truncate(end);
    if (error.code() != Errc::kNoSpace || !free_some_reserve()) throw;
    file_.write_at(end, record);
    file_.sync();
  }
}

void AuditLog::append(const AuditEvent& event, const Identity* actor, const State* state) {
  try {
    file_.lock(File::Lock::kExclusive, kLockTimeoutMs);
    struct Unlock {
      File& file;
      ~Unlock() { file.unlock(); }
    } unlock{file_};
    catch_up();
    const auto record = compose(event, actor, state);
    write_record(record);
    leaves_.push_back(merkle_leaf_hash(record));
    frontier_.append(leaves_.back());
  } catch (const Error& error) {
    const auto code = error.code();
    if (code == Errc::kInternal || code == Errc::kDamaged || code == Errc::kBusy) throw;
    throw Error(Errc::kAuditUnavailable,
                std::string("the audit log cannot be written, so access is refused: ") + error.what(),
                error.code() == Errc::kNoSpace ? "free some space on the disk, then repeat the command" : "");
  }
}

Bytes AuditLog::record_at(std::uint64_t index) const {
  Bytes record(kAuditRecordSize);
  if (file_.read_at(index * kAuditRecordSize, record) != record.size()) record.clear();
  return record;
}

std::optional<ChainHead> AuditLog::state_at(std::uint64_t index, const StateKey& key) const {
  const auto record = record_at(index);
  if (record.empty()) return std::nullopt;
  const auto sealed = ByteView(record).subspan(kStateAt, kStateSize);
  const auto head = aead_open_content(key, sealed, concat({vault_, be64(index)}));
  if (!head || head->size() != 8 + 32) return std::nullopt;
  return ChainHead{read_be64(ByteView(*head).first<8>()), to_array<32>(ByteView(*head).subspan(8))};
}

std::optional<ChainHead> AuditLog::newest_state(const StateKey& key) const {
  for (auto index = leaves_.size(); index-- > 0;) {
    const auto head = state_at(index, key);
    if (head) return head;
  }
  return std::nullopt;
}

namespace {

/// Opens sealed session keys, remembering the last: one process writes many entries under one.
class SessionKeyReader {
 public:
  explicit SessionKeyReader(const std::vector<BoxKeyPair>& keys) : keys_(keys) {}

  const AuditSessionKey* open(ByteView sealed) {
    if (std::ranges::equal(sealed, last_sealed_)) return last_ ? &*last_ : nullptr;
    last_sealed_.assign(sealed.begin(), sealed.end());
    last_.reset();
    for (const auto& pair : keys_) {
      auto key = open_sealed_key<AuditSessionKey>(pair, sealed);
      if (key) last_ = std::move(key);
    }
    return last_ ? &*last_ : nullptr;
  }

 private:
  const std::vector<BoxKeyPair>& keys_;
  Bytes last_sealed_;
  std::optional<AuditSessionKey> last_;
};

using FindKeys = std::function<const UserKeys*(const UserId&)>;

FindKeys keys_in(const CatalogState& users) {
  return [&users](const UserId& id) {
    const auto* user = users.find_user(id);
    return user == nullptr ? nullptr : &user->keys;
  };
}

std::optional<OpenedEntry> open_entry(ByteView sealed, const AuditEntryKey& key, ByteView where,
                                      const TreeHash& root_before, const FindKeys& find_keys) {
  const auto plain = aead_open_content(key, sealed, where);
  if (!plain || plain->size() != kEntryPlainSize) return std::nullopt;
  const ByteView bytes = *plain;
  const auto length =
      std::to_integer<std::size_t>(bytes[kLengthAt]) << 8 | std::to_integer<std::size_t>(bytes[kLengthAt + 1]);
  if (length > kMaxJsonSize) return std::nullopt;
  const auto root = bytes.subspan(kRootAt, 32);
  const auto json = bytes.subspan(kJsonAt, length);
  auto entry = parse_entry(as_text(json));
  if (!entry) return std::nullopt;
  entry->follows = std::ranges::equal(root, root_before);
  if (!entry->by) {
    const bool unsigned_too = std::ranges::all_of(bytes.first(64), [](std::byte b) { return b == std::byte{0}; });
    return unsigned_too ? entry : std::nullopt;
  }
  const auto* keys = find_keys(*entry->by);
  entry->signature_checked =
      keys != nullptr && verify(keys->sign, kSignatureDomain, concat({where, root, json}), to_array<64>(bytes));
  return entry;
}

}  // namespace

std::optional<OpenedEntry> open_disclosed(const DisclosedEntry& disclosed, const TreeHash& root_before) {
  const ByteView record = disclosed.record;
  if (as_text(record.first(kMagic.size())) != kMagic) return std::nullopt;
  const auto find_keys = [&](const UserId& id) {
    return disclosed.user && disclosed.user->id == id ? &*disclosed.user : nullptr;
  };
  auto entry = open_entry(record.subspan(kEntryAt), AuditEntryKey::from_bytes(disclosed.entry_key),
                          place(disclosed.vault, disclosed.index), root_before, find_keys);
  if (!entry || !entry->follows || (entry->by && !entry->signature_checked)) return std::nullopt;
  return entry;
}

std::optional<AuditLog::Disclosure> AuditLog::disclosure(std::uint64_t index, const std::vector<BoxKeyPair>& keys,
                                                         const CatalogState& users) const {
  const auto record = record_at(index);
  if (record.empty()) return std::nullopt;
  SessionKeyReader sessions(keys);
  const auto* session = sessions.open(ByteView(record).subspan(4, kSessionBoxSize));
  if (session == nullptr) return std::nullopt;
  auto key = entry_key(*session, index);
  const auto entry = open_entry(ByteView(record).subspan(kEntryAt), key, place(vault_, index), {}, keys_in(users));
  if (!entry) return std::nullopt;
  return Disclosure{to_array<kAuditRecordSize>(record), std::move(key), entry->by};
}

void AuditLog::read_all(const std::vector<BoxKeyPair>& keys, const CatalogState& users, const Visitor& visit) const {
  SessionKeyReader sessions(keys);
  MerkleFrontier before;
  for (std::uint64_t index = 0; index < leaves_.size(); ++index) {
    const auto record = record_at(index);
    std::optional<OpenedEntry> entry;
    if (!record.empty() && as_text(ByteView(record).first(4)) == kMagic) {
      const auto* session = sessions.open(ByteView(record).subspan(4, kSessionBoxSize));
      const auto where = place(vault_, index);
      if (session != nullptr)
        entry = open_entry(ByteView(record).subspan(kEntryAt), entry_key(*session, index), where, before.root(),
                           keys_in(users));
    }
    visit(index, entry);
    before.append(leaves_[index]);
  }
}

}  // namespace casevault
