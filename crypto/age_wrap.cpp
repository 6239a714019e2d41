#include "crypto/age_wrap.h"

#include "crypto/chacha20_poly1305.h"

namespace casevault {

static_assert(AgeWrappedKey{}.size() == FileKey::kSize + ChaCha20Poly1305::kTagSize);

AgeWrappedKey wrap_file_key(const AgeWrapKey& key, const FileKey& file_key, const AgeWrapNonce& nonce) {
  AgeWrappedKey wrapped;
  ChaCha20Poly1305(key.expose_secret()).seal(nonce, file_key.expose_secret(), wrapped);
  return wrapped;
}

std::optional<FileKey> unwrap_file_key(const AgeWrapKey& key, const AgeWrappedKey& wrapped, const AgeWrapNonce& nonce) {
  FileKey file_key = FileKey::zero();
  if (!ChaCha20Poly1305(key.expose_secret()).open(nonce, wrapped, file_key.expose_secret_for_writing())) {
    return std::nullopt;
  }
  return file_key;
}

void fail_stanza(std::string_view type, const std::string& what) {
  throw AgeError(AgeFault::kHeader, "header: a recipient of type " + std::string(type) + " " + what);
}

void check_stanza(const AgeStanza& stanza, std::size_t arguments) {
  if (stanza.arguments.size() != arguments) fail_stanza(stanza.type(), "has the wrong number of arguments");
  if (stanza.body.size() != AgeWrappedKey{}.size()) fail_stanza(stanza.type(), "has a body of the wrong size");
}

}  // namespace casevault
