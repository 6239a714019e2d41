#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "crypto/merkle.h"
#include "vault/access/identity.h"
#include "vault/audit/log.h"

namespace casevault {

/// One audit entry, opened for somebody outside: what `casevault audit prove` puts into the extra data of a C2SP log
/// proof (crypto/tlog_proof.h). With the proof it shows that the entry is in the log; the entry's own signature, which
/// is in the record, shows by whom. Everything else in here is a claim: that `user` has this name is shown only by a
/// fingerprint that was compared (docs/format.md section 11).
struct DisclosedEntry {
  VaultId vault{};
  std::uint64_t index = 0;                      // of the leaf, from 0
  ByteArray<kAuditRecordSize> record{};         // as it stands in audit/log
  ByteArray<AuditEntryKey::kSize> entry_key{};  // opens the entry in this record and no other
  std::optional<UserKeys> user;                 // who is named in the entry; none where nobody was unlocked

  bool operator==(const DisclosedEntry&) const = default;
  TreeHash leaf_hash() const { return merkle_leaf_hash(record); }
};

/// Canonical JSON (docs/format.md): {"casevault":"audit-entry","entry_key","index","record","user","vault"}: `record`
/// in base64, `user` null or {"box","id","name","sign"}, keys and ids in hex. Well under 2,000 bytes.
std::string encode_disclosed(const DisclosedEntry& entry);
/// Strict. What parses encodes back to the same bytes. Nothing is decrypted or verified here.
/// @throws Error{kDamaged}
DisclosedEntry parse_disclosed(std::string_view text);

/// The entry itself: it opens, it was written over the tree with `root_before`, and it is signed by `user` where it
/// names anybody. nullopt when not. That the record is in the log shows the proof around it.
std::optional<OpenedEntry> open_disclosed(const DisclosedEntry& entry, const TreeHash& root_before);

}  // namespace casevault
