#pragma once
#include <optional>
#include <vector>

#include "crypto/ristretto.h"
#include "vault/access/identity.h"
#include "vault/storage/catalog_state.h"
#include "vault/storage/file.h"

namespace casevault {

/// The catalogue key of one epoch as an owner handed it to one user. Believe it only after the catalogue it opens shows
/// that `by` was an owner and `signature` is theirs.
struct HandedOver {
  CatalogKey key;        // or a half of it
  bool is_half = false;  // then with what custodians hold: `whole_key`
  std::uint32_t epoch = 0;
  UserId by{};
  Signature signature{};
};

/// The file `handover/<epoch>`: 64 sealed boxes of one size, one for each user and the rest for nobody, in random order
/// (docs/format.md section 5). Where there are `trustees`, one is for them; it always holds the whole key.
enum class Handing { kWhole, kHalf };
Bytes encode_handover(const VaultId& vault, const CatalogKey& key, std::uint32_t epoch, const Identity& owner,
                      const std::vector<UserKeys>& users, Handing handing, const std::optional<UserKeys>& trustees);

// Under custody a box holds a half of the key, and the custodians hold the other, as a share like those of cases: so
// whoever has a user's keys from an older image of the disk still has to ask them (docs/custody-protocol.md section 6).
/// What the custodians are given; follows from the key.
Scalar handover_scalar(const CatalogKey& key, const VaultId& vault, std::uint32_t epoch);
CatalogKey whole_key(const HandedOver& handed, const VaultId& vault, const CustodyShare& share);
/// The box that is for `identity`; nullopt when there is none.
std::optional<HandedOver> find_handover(const VaultId& vault, ByteView file, const Identity& identity);
[[nodiscard]] bool verify_handover(const VaultId& vault, const HandedOver& handed, const UserId& to,
                                   const VerifyKey& owner);

inline constexpr std::size_t kHandoverFileSize = 64 * 200;  // bytes
Path handover_path(const Path& folder, std::uint32_t epoch);
/// Epochs that have a handover file, newest first.
std::vector<std::uint32_t> handover_epochs(const Path& folder);

}  // namespace casevault
