#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/age_error.h"
#include "crypto/age_header.h"
#include "crypto/encoding.h"
#include "crypto/secret.h"

namespace casevault {

// What the recipient types of age v1 have in common. Inside crypto/ only.

/// Seals one file key in one stanza.
using AgeWrapKey = Key<struct AgeWrapPurpose>;
using AgeWrapNonce = ByteArray<12>;
/// A sealed file key, the body of a stanza: 32 bytes. Checked before it is opened, against partitioning oracles.
using AgeWrappedKey = ByteArray<32>;

/// A wrap key belongs to one stanza, so its nonce may be fixed: zeros where the type has none.
AgeWrappedKey wrap_file_key(const AgeWrapKey& key, const FileKey& file_key, const AgeWrapNonce& nonce = {});
/// nullopt when it was not sealed with this key.
std::optional<FileKey> unwrap_file_key(const AgeWrapKey& key, const AgeWrappedKey& wrapped,
                                       const AgeWrapNonce& nonce = {});

/// @throws AgeError{kHeader}: "header: a … recipient <what>".
[[noreturn]] void fail_stanza(std::string_view type, const std::string& what);

/// @throws AgeError{kHeader} when there are more or fewer arguments, type included, or the body is not 32 bytes.
void check_stanza(const AgeStanza& stanza, std::size_t arguments);

/// @throws AgeError{kHeader} when the argument is not N bytes in base64.
template <std::size_t N>
ByteArray<N> stanza_argument(const AgeStanza& stanza, std::size_t index) {
  const auto bytes = from_base64_unpadded(stanza.arguments[index]);
  if (!bytes || bytes->size() != N) fail_stanza(stanza.type(), "has a malformed argument");
  return to_array<N>(*bytes);
}

/// A stanza whose one argument is N bytes that an ephemeral key left behind.
template <std::size_t N>
struct AgeSharedStanza {
  ByteArray<N> share;
  AgeWrappedKey wrapped;
};

/// The stanzas of one type, all of them checked before any of them is tried; those of other types are passed over.
/// @throws AgeError{kHeader} as check_stanza and stanza_argument do.
template <std::size_t N>
std::vector<AgeSharedStanza<N>> stanzas_of_type(std::string_view type, std::span<const AgeStanza> stanzas) {
  std::vector<AgeSharedStanza<N>> found;
  for (const AgeStanza& stanza : stanzas) {
    if (stanza.type() != type) continue;
    check_stanza(stanza, 2);
    found.push_back({stanza_argument<N>(stanza, 1), to_array<AgeWrappedKey{}.size()>(stanza.body)});
  }
  return found;
}

}  // namespace casevault
