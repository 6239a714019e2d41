#pragma once
#include <optional>
#include <vector>

#include "crypto/box.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "vault/storage/file.h"
#include "vault/storage/header.h"

namespace casevault {

inline constexpr std::size_t kSlotCount = 64;
inline constexpr std::size_t kSlotSize = 1024;  // bytes

/// What a slot keeps for its user.
struct SlotContents {
  UserId user{};
  std::uint32_t generation = 0;  // grows with every re-sealing: an old slot put back is noticed
  SigningSeed signing_seed = SigningSeed::zero();
  BoxSecretKey box_secret = BoxSecretKey::zero();
  VerifyKey root;
  std::uint32_t catalog_epoch = 0;  // 0: not let in yet, catalog_key is zero
  CatalogKey catalog_key = CatalogKey::zero();
};

/// What a slot keeps that a duress passphrase opens: the way into the vault in `spare`, and what raises the alarm.
struct DecoyContents {
  SigningSeed alarm = SigningSeed::zero();  // its confirmation tells the custodians
  SlotKey spare = SlotKey::zero();          // of a slot of the vault in `spare`
};

/// A sealed slot: nonce ‖ key commitment ‖ ciphertext ‖ tag, indistinguishable from random (docs/format.md section 4).
using SealedSlot = ByteArray<kSlotSize>;

/// Salt = BLAKE2b-128(vault salt ‖ user name); Argon2id. The one expensive step.
PassphraseKey stretch_user_passphrase(const Header& header, std::string_view user_name, const SecretBytes& passphrase);
/// What opens a slot without custody: what the passphrase alone gives.
SlotKey plain_slot_key(const Header& header, const PassphraseKey& stretched);

/// Authenticates the contents, and the vault id, format and cost in `header`. The commitment (BLAKE2b-256 of the nonce
/// under a key derived from the slot key) makes it impossible to craft one slot that two passphrases open.
SealedSlot seal_slot(const Header& header, const SlotKey& key, const SlotContents& contents);
std::optional<SlotContents> open_slot(const Header& header, const SlotKey& key, const SealedSlot& slot);
SealedSlot seal_decoy_slot(const Header& header, const SlotKey& key, const DecoyContents& contents);
std::optional<DecoyContents> open_decoy_slot(const Header& header, const SlotKey& key, const SealedSlot& slot);

/// The file `slots`: allocated once, only ever overwritten in place. Its lock is the vault's lock: shared by whoever
/// works in the vault, exclusive for whoever changes keys.
class Slots {
 public:
  static void create(const Path& path);
  /// @throws Error{kDamaged} when missing or of another size.
  static Slots open(const Path& path);

  struct Found {
    std::size_t index = 0;
    SlotContents contents;
  };
  /// Tries all slots, always all (equal time); those that open, the highest generation first. A crash can leave more
  /// than one; the catalogue says which counts.
  std::vector<Found> find(const Header& header, const SlotKey& key) const;
  struct FoundDecoy {
    std::size_t index = 0;
    DecoyContents contents;
  };
  /// Likewise, always all; the last that opens.
  std::optional<FoundDecoy> find_decoy(const Header& header, const SlotKey& key) const;
  SealedSlot read(std::size_t index) const;
  Sha256Digest hash(std::size_t index) const;
  /// In place, synced, read back past the cache where the system lets one. @throws Error{kInternal} when it reads back
  /// differently.
  void write(std::size_t index, const SealedSlot& slot);
  /// Random bytes over it.
  void erase(std::size_t index);
  /// Over all but this one, at once.
  void erase_others(std::size_t kept);

  File& file() { return file_; }

 private:
  explicit Slots(File file) : file_(std::move(file)) {}
  File file_;
};

}  // namespace casevault
