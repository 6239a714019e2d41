#pragma once
#include <string>
#include <string_view>

#include "crypto/minisign.h"
#include "crypto/signed_note.h"
#include "vault/storage/sharing_state.h"

namespace casevault {

/// What a partner signs after a bundle has been received whole: a C2SP signed note under their log's name and their
/// minisign key (docs/format.md section 13).
struct Receipt {
  BundleId bundle{};
  VaultId receiver{};         // the receiver's vault
  std::string sender;         // minisign key of whoever shared it
  std::uint64_t records = 0;  // records in the bundle
  std::int64_t time_ms = 0;   // by the receiver's clock
  LogCite log;                // the receiver's audit log after it
};

inline constexpr std::size_t kMaxReceiptSize = 4096;  // bytes

std::string encode_receipt(const Receipt& receipt, const SigningKey& key);
/// Strict. Authenticated by `key`, the Ed25519 key in the partner's minisign key; nullopt when it did not sign.
/// @throws Error{kDamaged} when it is no receipt.
std::optional<Receipt> parse_receipt(std::string_view text, const VerifyKey& key);

}  // namespace casevault
