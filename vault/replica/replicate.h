#pragma once
#include <functional>
#include <optional>
#include <string>

#include "vault/replica/store.h"
#include "vault/vault.h"

namespace casevault {

struct ReplicateRequest {
  bool dry_run = false;               // only says what would be sent
  std::optional<std::uint64_t> keep;  // snapshots to keep; nothing is deleted where it is not given
  bool check = false;                 // reads everything there, and sends again what is missing or bad
  bool is_new = false;                // an empty place will do where this vault remembers a replica
};

struct Replicated {
  std::uint64_t number = 0;  // of the snapshot
  std::int64_t time_ms = 0;
  std::string label;               // of the place
  std::uint64_t bodies = 0;        // in the snapshot
  std::uint64_t bytes = 0;         // of all that makes it up
  std::uint64_t sent_objects = 0;  // what this run wrote, or would write
  std::uint64_t sent_bytes = 0;
  std::uint64_t sent_database_bytes = 0;  // of these, chunks of databases
  std::uint64_t deleted_snapshots = 0;
  std::uint64_t deleted_objects = 0;
  std::uint64_t checked_objects = 0;  // read and compared
  std::uint64_t checked_bytes = 0;
  std::uint64_t mended_objects = 0;   // of these, sent again
  std::vector<std::string> unmended;  // only older snapshots need them, and they are not here any more
  bool kept_all = false;              // nothing was deleted, for the vault seems to have lost something
  std::vector<std::string> warnings;  // plain sentences
};

/// Copies the vault as it is at one moment to a store: what is sealed, and no key. What is there already is not sent
/// again; what is new is read back and compared; the snapshot itself is written last. Interrupted at any point, the
/// snapshots before stay whole, and repeating goes on. Logged. Everybody who may unlock may do it.
/// `target`: the place as the user wrote it; `progress` gets bytes done and in all.
/// @throws Error: what ReplicaStore says; kBusy (another replica of this vault is being made); kUsage (a vault restored
/// in part, or a place with a replica of another vault); kDamaged (what was written reads back differently).
Replicated replicate(Session& session, ReplicaStore& store, const std::string& target, const ReplicateRequest& request,
                     const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

/// What can be said of a place before anybody types a passphrase. @throws Error: kUsage, kNotAllowed.
void check_replica_target(const Path& vault, const std::string& target);

struct LastReplica {
  std::string label;
  std::uint64_t number = 0;
  std::int64_t time_ms = 0;
};
/// The newest snapshot that this vault knows of, wherever it lies.
std::optional<LastReplica> last_replica(Session& session);
/// In how many places it knows of replicas.
std::size_t replica_places(Session& session);

/// Changes when records, people or keys do; not when somebody only reads.
std::string change_mark(const Path& vault);

}  // namespace casevault
