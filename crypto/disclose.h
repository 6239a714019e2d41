#pragma once
#include "crypto/bytes.h"
#include "crypto/secret.h"
#include "crypto/sign.h"
#include "crypto/slip39.h"

namespace casevault {

/// Gives the key of one audit entry away, for a proof that others read. Whoever gets it reads that one entry and no
/// other: it is derived from the session's key and the entry's place (docs/format.md section 9). From here on it is no
/// secret any more.
inline ByteArray<AuditEntryKey::kSize> disclose(const AuditEntryKey& key) {
  return to_array<AuditEntryKey::kSize>(key.expose_secret());
}

/// Gives the seed of a card away, in lower-case hexadecimal, to be printed: from here on paper and files protect it,
/// not memory. For nothing but cards (docs/custody-protocol.md section 1).
inline std::string disclose_card(const SigningSeed& seed) { return to_hex(seed.expose_secret()); }

/// Gives the words of a trustee's share away, to be printed: from here on paper and files protect them. For nothing but
/// the trustees' sheets (docs/format.md section 16).
inline std::string disclose_share(const Slip39Share& share) {
  return std::string(as_text(share.words().expose_secret()));
}

}  // namespace casevault
