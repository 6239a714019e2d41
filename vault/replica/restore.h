#pragma once
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "vault/audit/report.h"
#include "vault/replica/manifest.h"
#include "vault/replica/snapshots.h"
#include "vault/replica/store.h"

namespace casevault {

struct RestoreRequest {
  std::string source;                     // a replica's folder, `rclone:REMOTE:PATH`, or the folder of a vault
  std::optional<std::uint64_t> snapshot;  // its number; else the newest
  bool older = false;                     // an older one than is known of will do
  bool leave_bodies = false;              // large files are fetched later: fetch_bodies
  std::string file;                       // which of that number: its name; empty: the one with the longest log
};

/// What was put together from a source.
struct Rebuilt {
  std::optional<StoredSnapshot> snapshot;  // none where the source is a vault's folder
  std::vector<std::uint64_t> numbers;      // of all snapshots there
  std::vector<std::string> namesakes;      // other snapshots of the same number: names
  SnapshotBodies bodies;                   // that belong to it
  std::uint64_t bytes = 0;                 // of everything
  std::vector<Finding> findings;           // what is missing or changed; empty: all of it is as it was written
  std::set<std::string> harmed;            // the objects that are
  std::vector<std::string> lost;           // files of the vault that are not whole: they were left out
  std::vector<std::string> warnings;       // plain sentences
  /// What every unlocking needs is whole: then the rest may be worth having.
  bool opens() const;
};
using RestoreProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Turns a source into the folder of a vault, without any passphrase. Every file and object is compared with the hash
/// that the snapshot names, the audit log with its root, the header with its own signature. That the snapshot itself is
/// genuine only an unlocked session can tell: check_signature. `folder` may hold what an earlier call, cut off or not,
/// has left there: what is whole is not fetched again. Goes on after damage, and names all of it.
/// The folder is a whole vault only where `findings` is empty; it is for the caller to move it to its place.
/// A folder with snapshots in it is a replica, whatever else lies there.
/// @throws Error: kNoVault (no replica there), kDamaged (no snapshot can be read, or an older one than this machine
/// knows of), kUsage (no such snapshot, or an older one without `older`), kNoSpace, and what ReplicaStore says.
Rebuilt rebuild_vault(const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                      const Environment& environment, const RestoreProgress& progress);

/// Where there are snapshots it is a replica, whatever else was put there.
bool is_vault_folder(const std::string& source);

/// Where a vault that is to lie in `folder` is put together.
Path place_to_rebuild(const Path& folder);
/// Makes it, or takes what an earlier attempt left there. Nobody else works in it while the result lives.
/// @throws Error: kBusy; kUsage where it is not what this program leaves, but was put there by others.
File lock_rebuilding(const Path& place);
/// Whether something lies in it that need not be fetched again.
bool is_worth_keeping(const Path& place);
/// With everything in it.
void remove_rebuilding(const Path& place);
/// Moves it into place, where nothing must be. @throws Error{kUsage}
void publish_rebuilt(const Path& place, const Path& folder);

/// For `leave_bodies`: these of them, or all. Returns what is missing or changed, and adds it to `harmed`.
std::vector<Finding> fetch_bodies(Rebuilt& rebuilt, const std::optional<std::vector<std::string>>& names,
                                  const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                                  const Environment& environment, const RestoreProgress& progress);

/// In an unlocked session of it: nothing where a user of the vault made the snapshot.
std::optional<Finding> check_signature(Session& session, const Rebuilt& rebuilt);
/// Says of which cases and records the harm is, as far as the session's user may know.
void name_harm(Session& session, std::vector<Finding>& findings);
/// Where the decoy's vault is not whole, a new one takes its place: without one a vault would show that it had one.
void renew_lost_spare(Session& session, const Rebuilt& rebuilt);
/// The newest older snapshot that needs nothing of what is harmed.
std::optional<std::uint64_t> older_without_harm(const Rebuilt& rebuilt, const RestoreRequest& request,
                                                const Path& folder, const RcloneSettings& rclone,
                                                const Environment& environment);

/// A vault without some of its large files, which a later restore from the same snapshot fetches.
void mark_absent(const Path& folder, const StoredSnapshot& snapshot);
bool is_absent_partly(const Path& folder);
/// Fetches what is absent. @throws as rebuild_vault; kNotFound when the snapshot is not there any more.
Rebuilt complete_vault(const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                       const Environment& environment, const RestoreProgress& progress);
/// Afterwards, when there was no finding.
void unmark_absent(const Path& folder);

}  // namespace casevault
