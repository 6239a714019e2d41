#pragma once
#include <optional>
#include <span>

#include "crypto/age_header.h"
#include "crypto/secret.h"

namespace casevault {

// The X25519 recipient type (C2SP age.md). Says nothing of who wrote the file. Inside crypto/ only: AgeRecipient and
// AgeIdentity are for use.

inline constexpr std::string_view kAgeX25519Type = "X25519";

using AgeX25519PublicKey = ByteArray<32>;

AgeX25519PublicKey age_x25519_public_key(std::span<const std::byte, 32> secret);
/// False for a point of small order: whatever the other side's key, the shared secret would be zero.
bool is_age_x25519_public_key(const AgeX25519PublicKey& key);

/// @pre is_age_x25519_public_key(to)
AgeStanza age_wrap_x25519(const AgeX25519PublicKey& to, const FileKey& file_key);
/// nullopt when none of the stanzas is for this key. @throws AgeError{kHeader} for a malformed stanza of this type, or
/// a share of small order.
std::optional<FileKey> age_unwrap_x25519(std::span<const std::byte, 32> secret, std::span<const AgeStanza> stanzas);

}  // namespace casevault
