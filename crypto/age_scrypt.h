#pragma once
#include <optional>
#include <span>

#include "crypto/age_header.h"
#include "crypto/secret.h"

namespace casevault {

// The scrypt recipient type (C2SP age.md): a passphrase, stretched by scrypt (RFC 7914) with N = 2^work factor, r = 8,
// p = 1, which takes 2^(work factor + 10) bytes of memory. Inside crypto/ only: AgeRecipient and AgeIdentity are for
// use.

inline constexpr std::string_view kAgeScryptType = "scrypt";
/// What is written: 256 MiB, about a second. What age itself writes.
inline constexpr unsigned kAgeScryptWorkFactor = 18;
/// The most that is run for a file of somebody else: 1 GiB.
inline constexpr unsigned kAgeScryptMaxWorkFactor = 20;

/// @pre 1 <= work_factor <= kAgeScryptMaxWorkFactor @throws Error{kInternal} when the memory cannot be had.
AgeStanza age_wrap_scrypt(const SecretBytes& passphrase, unsigned work_factor, const FileKey& file_key);
/// nullopt when there is no such stanza, or it is for another passphrase. @throws AgeError{kHeader} for a malformed
/// one, or a work factor above the limit; Error{kInternal} when the memory cannot be had.
std::optional<FileKey> age_unwrap_scrypt(const SecretBytes& passphrase, std::span<const AgeStanza> stanzas);

/// That a passphrase is the only recipient, if it is one: whoever opens a file with it takes it to come from somebody
/// who knows it. Returns whether it is one. @throws AgeError{kHeader}
bool check_age_scrypt_is_alone(std::span<const AgeStanza> stanzas);

}  // namespace casevault
