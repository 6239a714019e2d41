#pragma once
#include <optional>
#include <vector>

#include "vault/access/identity.h"
#include "vault/storage/catalog_state.h"
#include "vault/storage/file.h"

namespace casevault {

/// The catalogue key of one epoch as an owner handed it to one user. Believe it only after the catalogue it opens shows
/// that `by` was an owner and `signature` is theirs.
struct HandedOver {
  CatalogKey key;
  std::uint32_t epoch = 0;
  UserId by{};
  Signature signature{};
};

/// The file `handover/<epoch>`: 64 sealed boxes of one size, one for each user and the rest for nobody, in random order
/// (docs/format.md section 5).
Bytes encode_handover(const VaultId& vault, const CatalogKey& key, std::uint32_t epoch, const Identity& owner,
                      const std::vector<UserKeys>& users);
/// The box that is for `identity`; nullopt when there is none.
std::optional<HandedOver> find_handover(const VaultId& vault, ByteView file, const Identity& identity);
[[nodiscard]] bool verify_handover(const VaultId& vault, const HandedOver& handed, const UserId& to,
                                   const VerifyKey& owner);

inline constexpr std::size_t kHandoverFileSize = 64 * 200;  // bytes
Path handover_path(const Path& folder, std::uint32_t epoch);
/// Epochs that have a handover file, newest first.
std::vector<std::uint32_t> handover_epochs(const Path& folder);

}  // namespace casevault
