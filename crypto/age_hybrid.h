#pragma once
#include <optional>
#include <span>

#include "crypto/age_header.h"
#include "crypto/secret.h"

namespace casevault {

// The mlkem768x25519 recipient type (C2SP age.md): HPKE in base mode (RFC 9180) with X-Wing (ML-KEM-768 and X25519),
// HKDF-SHA-256 and ChaCha20-Poly1305. Stays secret unless both lattices and elliptic curves are broken. Says nothing of
// who wrote the file. Needs X-Wing of the libsodium that casevault was built with; without it, everything here but
// age_hybrid_is_available throws Error{kUsage}. Inside crypto/ only: AgeRecipient and AgeIdentity are for use.

inline constexpr std::string_view kAgeHybridType = "mlkem768x25519";
inline constexpr std::size_t kAgeHybridPublicKeySize = 1216;  // bytes

bool age_hybrid_is_available();
/// @throws Error{kUsage} that names the version of libsodium, when it is not.
void require_age_hybrid();

Bytes age_hybrid_public_key(std::span<const std::byte, 32> seed);
/// Whether something can be sealed to it: the right size, the ML-KEM part in range, the X25519 part not of small order.
bool is_age_hybrid_public_key(ByteView key);

/// @pre is_age_hybrid_public_key(to)
AgeStanza age_wrap_hybrid(ByteView to, const FileKey& file_key);
/// nullopt when none of the stanzas is for this key. @throws AgeError{kHeader} for a malformed stanza of this type, or
/// a share of small order.
std::optional<FileKey> age_unwrap_hybrid(std::span<const std::byte, 32> seed, std::span<const AgeStanza> stanzas);

}  // namespace casevault
