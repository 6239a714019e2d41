#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "crypto/buffered_source.h"
#include "crypto/bytes.h"
#include "crypto/secret.h"

namespace casevault {

// The header of an age v1 file (C2SP age.md, "Header"): a version line, stanzas that each wrap the file key for one
// recipient, and a MAC under the file key. There is one way to write a header, so what is read encodes to the same
// bytes. Nothing in it is authentic before the MAC was compared.

// What a reader takes at most, and a writer writes. Room for some 600 post-quantum recipients, or 4096 others.
inline constexpr std::size_t kAgeMaxHeaderSize = 1u << 20;  // bytes
inline constexpr std::size_t kAgeMaxLineSize = 8192;        // bytes, without the LF
inline constexpr std::size_t kAgeMaxStanzas = 4096;

struct AgeStanza {
  std::vector<std::string> arguments;  // never empty; the first is the type. Visible ASCII, not empty
  Bytes body;
  const std::string& type() const { return arguments.front(); }
};

using AgeHeaderMac = ByteArray<32>;

struct AgeHeader {
  std::vector<AgeStanza> stanzas;  // never empty
  AgeHeaderMac mac{};
};

/// @throws Error{kUsage} when it would be larger than a reader takes.
std::string encode_age_header(const AgeHeader& header);

/// Reads as far as the header goes; the payload is what is left. @throws AgeError{kHeader} for anything that is not
/// exactly as written above, or over the limits; what the source throws.
AgeHeader read_age_header(BufferedSource& input);

/// HMAC-SHA-256 of the header, without its last line's MAC, under a key derived from the file key.
AgeHeaderMac age_header_mac(const FileKey& file_key, const AgeHeader& header);

}  // namespace casevault
