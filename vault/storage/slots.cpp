#include "vault/storage/slots.h"

#include <algorithm>

#include "crypto/aead.h"
#include "crypto/random.h"
#include "crypto/secret_layout.h"

namespace casevault {
namespace {

constexpr std::size_t kCommitmentSize = 32;
constexpr std::size_t kNonceSize = 24;
constexpr std::size_t kContentsSize = kSlotSize - kCommitmentSize - kAeadOverhead;
constexpr std::string_view kMagic = "CVS1";
constexpr std::string_view kDecoyMagic = "CVD1";
constexpr std::size_t kUsedSize = 4 + 16 + 4 + 32 + 32 + 32 + 4 + 32;
static_assert(kUsedSize <= kContentsSize);

Bytes associated_data(const Header& header) {
  return concat({as_bytes("casevault/v1/slot/user"), header.vault_id, be32(kFormatVersion), be32(header.cost.passes),
                 be64(header.cost.memory_bytes)});
}

ByteArray<kCommitmentSize> commitment(const SlotKey& key, ByteView nonce) {
  ByteArray<kCommitmentSize> out;
  derive_bytes(key, "casevault/v1/slot-commitment", nonce, out);
  return out;
}

SlotKey sealing_key(const SlotKey& key) { return derive_key<SlotKey>(key, "casevault/v1/slot-seal"); }

SecretBytes encode_contents(const SlotContents& contents) {
  return SecretWriter(kContentsSize)
      .put(as_bytes(kMagic))
      .put(contents.user)
      .put(be32(contents.generation))
      .put(contents.signing_seed)
      .put(contents.box_secret)
      .put(contents.root.bytes)
      .put(be32(contents.catalog_epoch))
      .put(contents.catalog_key)
      .finish();
}

std::optional<SlotContents> decode_contents(const SecretBytes& plain) {
  SecretReader reader(plain);
  if (as_text(reader.take<4>()) != kMagic) return std::nullopt;
  SlotContents contents;
  contents.user = reader.take<16>();
  contents.generation = read_be32(reader.take<4>());
  contents.signing_seed = reader.take_key<SigningSeed>();
  contents.box_secret = reader.take_key<BoxSecretKey>();
  contents.root.bytes = reader.take<32>();
  contents.catalog_epoch = read_be32(reader.take<4>());
  contents.catalog_key = reader.take_key<CatalogKey>();
  if (!reader.rest_is_zero()) return std::nullopt;
  return contents;
}

std::optional<DecoyContents> decode_decoy(const SecretBytes& plain) {
  SecretReader reader(plain);
  if (as_text(reader.take<4>()) != kDecoyMagic) return std::nullopt;
  DecoyContents contents;
  contents.alarm = reader.take_key<SigningSeed>();
  contents.spare = reader.take_key<SlotKey>();
  if (!reader.rest_is_zero()) return std::nullopt;
  return contents;
}

SealedSlot seal_contents(const Header& header, const SlotKey& key, const SecretBytes& plain) {
  const auto sealed = aead_seal(sealing_key(key), plain, associated_data(header));
  const auto nonce = ByteView(sealed).first(kNonceSize);
  return to_array<kSlotSize>(concat({nonce, commitment(key, nonce), ByteView(sealed).subspan(kNonceSize)}));
}

std::optional<SecretBytes> open_contents(const Header& header, const SlotKey& key, const SealedSlot& slot) {
  const auto nonce = ByteView(slot).first(kNonceSize);
  const auto stored = ByteView(slot).subspan(kNonceSize, kCommitmentSize);
  if (!equal_constant_time(stored, commitment(key, nonce))) return std::nullopt;
  const auto sealed = concat({nonce, ByteView(slot).subspan(kNonceSize + kCommitmentSize)});
  return aead_open(sealing_key(key), sealed, associated_data(header));
}

}  // namespace

PassphraseKey stretch_user_passphrase(const Header& header, std::string_view user_name, const SecretBytes& passphrase) {
  return stretch_passphrase(passphrase, blake2b_128({header.salt, as_bytes(user_name)}), header.cost);
}

SlotKey plain_slot_key(const Header& header, const PassphraseKey& stretched) {
  return derive_key<SlotKey>(stretched, "casevault/v1/slot", header.vault_id);
}

SealedSlot seal_slot(const Header& header, const SlotKey& key, const SlotContents& contents) {
  return seal_contents(header, key, encode_contents(contents));
}

std::optional<SlotContents> open_slot(const Header& header, const SlotKey& key, const SealedSlot& slot) {
  const auto plain = open_contents(header, key, slot);
  return plain ? decode_contents(*plain) : std::nullopt;
}

SealedSlot seal_decoy_slot(const Header& header, const SlotKey& key, const DecoyContents& contents) {
  return seal_contents(
      header, key,
      SecretWriter(kContentsSize).put(as_bytes(kDecoyMagic)).put(contents.alarm).put(contents.spare).finish());
}

std::optional<DecoyContents> open_decoy_slot(const Header& header, const SlotKey& key, const SealedSlot& slot) {
  const auto plain = open_contents(header, key, slot);
  return plain ? decode_decoy(*plain) : std::nullopt;
}

void Slots::create(const Path& path) {
  auto file = File::create_new(path);
  Bytes noise(kSlotCount * kSlotSize);
  fill_random(noise);
  file.write_at(0, noise);
  file.sync();
}

Slots Slots::open(const Path& path) {
  // On a read-only disk the vault can still be looked at by `verify`; writing a slot then fails with its own error.
  auto file = [&] {
    try {
      return File::open_for_update(path);
    } catch (const Error& error) {
      if (error.code() == Errc::kUsage) return std::optional<File>();  // something else than a file lies there
      if (error.code() != Errc::kNotAllowed) throw;
      return File::open_for_reading(path);
    }
  }();
  if (!file || file->size() != kSlotCount * kSlotSize) {
    throw Error(Errc::kDamaged, "the file slots is missing or not of its size",
                "restore slots from a copy of the vault");
  }
  return Slots(std::move(*file));
}

std::vector<Slots::Found> Slots::find(const Header& header, const SlotKey& key) const {
  std::vector<Found> found;
  for (std::size_t index = 0; index < kSlotCount; ++index) {
    auto contents = open_slot(header, key, read(index));
    if (contents) found.push_back({index, std::move(*contents)});
  }
  std::ranges::stable_sort(found, std::greater(), [](const Found& f) { return f.contents.generation; });
  return found;
}

std::optional<Slots::FoundDecoy> Slots::find_decoy(const Header& header, const SlotKey& key) const {
  std::optional<FoundDecoy> found;
  for (std::size_t index = 0; index < kSlotCount; ++index) {
    auto contents = open_decoy_slot(header, key, read(index));
    if (contents) found = FoundDecoy{index, std::move(*contents)};
  }
  return found;
}

SealedSlot Slots::read(std::size_t index) const {
  SealedSlot slot;
  if (file_.read_at(index * kSlotSize, slot) != slot.size()) throw Error(Errc::kDamaged, "the file slots is cut short");
  return slot;
}

Sha256Digest Slots::hash(std::size_t index) const { return sha256(read(index)); }

void Slots::write(std::size_t index, const SealedSlot& slot) {
  file_.write_at(index * kSlotSize, slot);
  file_.sync();
  file_.drop_cache();
  if (read(index) != slot)
    throw Error(Errc::kInternal, "a slot reads back differently than it was written: the disk is failing");
}

void Slots::erase(std::size_t index) { write(index, random_array<kSlotSize>()); }

void Slots::erase_others(std::size_t kept) {
  Bytes noise(kSlotCount * kSlotSize);
  fill_random(noise);
  copy_bytes(read(kept), std::span(noise).subspan(kept * kSlotSize));
  file_.write_at(0, noise);
  file_.sync();
}

}  // namespace casevault
