#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "crypto/hash.h"

namespace casevault {

// Where things lie in a replica (docs/format.md section 15). Nothing there is ever changed once it is written.

inline constexpr std::uint64_t kReplicaChunkSize = 1u << 20;       // bytes; the last chunk of a file may be shorter
inline constexpr std::size_t kMaxSnapshotSize = 64u << 20;         // bytes of one file in snapshots/
inline constexpr std::size_t kMaxBodyListSize = 256u << 20;        // bytes of one list of bodies
inline constexpr std::string_view kSnapshotFolder = "snapshots/";  // with the slash: a prefix of names

/// `objects/<2 hex>/<64 hex>`: a chunk of a file, or a list of bodies, named by its SHA-256.
std::string object_name(const Sha256Digest& hash);
/// `bodies/<2 hex>/<32 hex>`, as in the vault.
std::string body_object_name(std::string_view body);
/// `snapshots/<8 digits or more>-<first 16 hex of its SHA-256>.json`
std::string snapshot_name(std::uint64_t number, const Sha256Digest& hash);
/// Whether it may be the name of a snapshot. Numbers end at kMaxSnapshotNumber: nobody can use them all up.
bool is_snapshot_name(std::string_view name);
inline constexpr std::uint64_t kMaxSnapshotNumber = 9'999'999'999;
/// Whether it may be the name of anything in a replica. All else in that folder is somebody else's.
bool is_replica_object(std::string_view name);
/// Whether it may have been left in a replica by a copy that was interrupted.
bool is_replica_leftover(std::string_view name);

/// Whether a vault has a file of this name that belongs into a replica, bodies apart: never a path that leads out of
/// the vault.
bool is_replicated_file(std::string_view name);

/// 32 hex digits.
bool is_body_id(std::string_view name);

}  // namespace casevault
