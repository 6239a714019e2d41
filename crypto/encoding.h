#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "crypto/bytes.h"

namespace casevault {

/// Base64 (RFC 4648 section 4), standard alphabet, with padding.
std::string to_base64(ByteView bytes);
/// Strict: padding required, no white space, unused bits zero. nullopt otherwise.
std::optional<Bytes> from_base64(std::string_view text);
/// The same without padding, as age writes it.
std::string to_base64_unpadded(ByteView bytes);
std::optional<Bytes> from_base64_unpadded(std::string_view text);
/// Base64url (RFC 4648 section 5) without padding, for text that may stand in an address. As strict.
std::string to_base64url(ByteView bytes);
std::optional<Bytes> from_base64url(std::string_view text);

struct Bech32 {
  std::string prefix;  // human-readable part, as it stood (all lower or all upper case)
  Bytes data;
};
/// Bech32 (BIP 173) without its limit of 90 characters, as age uses it. `prefix` lower case gives lower case, upper
/// gives upper.
std::string to_bech32(std::string_view prefix, ByteView data);
/// nullopt for a bad checksum, mixed case, foreign characters, or padding that is not zero or not minimal.
std::optional<Bech32> from_bech32(std::string_view text);

/// Proquints (Wilkerson, arXiv:0901.4016): two bytes become a pronounceable word of five letters, words joined by "-".
/// @pre an even number of bytes
std::string to_proquints(ByteView bytes);
std::optional<Bytes> from_proquints(std::string_view text);

}  // namespace casevault
