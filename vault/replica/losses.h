#pragma once
#include <string>
#include <vector>

#include "vault/replica/snapshots.h"
#include "vault/vault.h"

namespace casevault {

struct ReplicaSnapshot {
  Manifest manifest;
  SnapshotBodies bodies;
};

/// What the vault, as it is in the snapshot `now`, seems to have lost since older ones were made: a case without its
/// database, a log that does not go on from theirs, large files that records name. Plain sentences; none: nothing.
/// Whoever holds no grant for a case sees only how much is gone.
std::vector<std::string> losses_since(Session& session, const ReplicaSnapshot& now,
                                      const std::vector<ReplicaSnapshot>& before);

}  // namespace casevault
