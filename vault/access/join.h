#pragma once
#include <optional>
#include <vector>

#include "vault/access/users.h"
#include "vault/storage/slots.h"

namespace casevault {

/// A file `handover/join-<16 hex>`: the asker's sealed slot, then the request sealed to the audit key, which owners
/// hold. The request is signed by the asker's own key over keys, name and slot: nobody asks with another's keys.
struct PendingJoin {
  Path path;
  SealedSlot slot;
  JoinRequest request;
};

void write_join_request(const Path& folder, const Header& header, const Identity& identity, const std::string& name,
                        const SealedSlot& slot, std::int64_t now_ms);
/// Whether `slot_key` opens the slot of a request that waits. Told without any other key.
bool waits_for_approval(const Path& folder, const Header& header, const SlotKey& slot_key);
/// Overwrites the request in place, then removes it. False when there is none.
bool destroy_request(const Path& path);
/// Requests that open and verify, oldest name first; the names of files that do not.
struct PendingJoins {
  std::vector<PendingJoin> requests;
  std::vector<std::string> unreadable;
};
PendingJoins read_join_requests(const Path& folder, const VaultId& vault, const std::vector<BoxKeyPair>& audit_keys);

}  // namespace casevault
