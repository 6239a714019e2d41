#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vault/replica/manifest.h"
#include "vault/replica/snapshots.h"
#include "vault/replica/store.h"
#include "vault/verify.h"

namespace casevault {

struct RestoreRequest {
  std::string source;                     // a replica's folder, `rclone:REMOTE:PATH`, or the folder of a vault
  std::optional<std::uint64_t> snapshot;  // its number; else the newest
  bool older = false;                     // an older one than is known of will do
  bool leave_bodies = false;              // large files are fetched later: fetch_bodies
};

/// What was put together from a source.
struct Rebuilt {
  std::optional<StoredSnapshot> snapshot;  // none where the source is a vault's folder
  SnapshotBodies bodies;                   // that belong to it
  std::uint64_t bytes = 0;                 // of everything
  std::vector<Finding> findings;           // objects that are missing or changed; empty: all of it is as it was written
  std::vector<std::string> warnings;       // plain sentences
};
using RestoreProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Turns a source into the folder of a vault, without any passphrase. Every file and object is compared with the hash
/// that the snapshot names, the audit log with its root, the header with its own signature. That the snapshot itself is
/// genuine only an unlocked session can tell: check_restored. `folder` may hold what an earlier call, cut off or not,
/// has left there: what is whole is not fetched again. Goes on after damage, and names all of it.
/// The folder is a vault's only where `findings` is empty; it is for the caller to move it to its place.
/// @throws Error: kNoVault (no replica there), kDamaged (no snapshot can be read, or an older one than this machine
/// knows of), kUsage (no such snapshot, or an older one without `older`), and what ReplicaStore says.
Rebuilt rebuild_vault(const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                      const Environment& environment, const RestoreProgress& progress);

/// Where a vault that is to lie in `folder` is put together.
Path place_to_rebuild(const Path& folder);
/// Nobody else works in it while the result lives. @throws Error{kBusy}
File lock_rebuilding(const Path& place);
/// Moves it into place, where nothing must be. @throws Error{kUsage}
void publish_rebuilt(const Path& place, const Path& folder);

/// For `leave_bodies`: these of them. Returns what is missing or changed.
std::vector<Finding> fetch_bodies(const Rebuilt& rebuilt, const std::vector<std::string>& names,
                                  const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                                  const Environment& environment, const RestoreProgress& progress);

/// In an unlocked session of it: the snapshot's signature, then everything that `verify` checks. Large files that were
/// left out on purpose are no finding. Logged.
VerifyResult check_restored(Session& session, const Rebuilt& rebuilt, const RestoreProgress& progress);

/// A vault without some of its large files, which a later restore from the same snapshot fetches.
void mark_absent(const Path& folder, const StoredSnapshot& snapshot);
bool is_absent_partly(const Path& folder);
/// Fetches what is absent. @throws as rebuild_vault; kNotFound when the snapshot is not there any more.
Rebuilt complete_vault(const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                       const Environment& environment, const RestoreProgress& progress);
/// Afterwards, when there was no finding.
void unmark_absent(const Path& folder);

}  // namespace casevault
