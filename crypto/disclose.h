#pragma once
#include "crypto/bytes.h"
#include "crypto/secret.h"

namespace casevault {

/// Gives the key of one audit entry away, for a proof that others read. Whoever gets it reads that one entry and no
/// other: it is derived from the session's key and the entry's place (docs/format.md section 9). From here on it is no
/// secret any more; there is no such function for any other key.
inline ByteArray<AuditEntryKey::kSize> disclose(const AuditEntryKey& key) {
  return to_array<AuditEntryKey::kSize>(key.expose_secret());
}

}  // namespace casevault
