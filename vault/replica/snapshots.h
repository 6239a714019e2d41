#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "vault/replica/manifest.h"
#include "vault/replica/store.h"

namespace casevault {

/// A snapshot as it lies in a store.
struct StoredSnapshot {
  std::string name;
  std::uint64_t number = 0;  // as its name says
  Manifest manifest;
  Sha256Digest hash{};  // of its file
};

/// Names of all snapshots in a listing, the newest last.
std::vector<std::string> snapshot_names(const ReplicaStore::Sizes& listing);
std::uint64_t number_in_name(std::string_view snapshot_name);
/// @throws Error{kDamaged} when it is missing, or not what it should be.
StoredSnapshot read_snapshot(ReplicaStore& store, const std::string& name);

/// The bodies of a snapshot, by name, from its lists; these are fetched into `scratch`. `listing`: what is there.
/// Lists that are missing or changed are named in `harmed`, or, without that, @throws Error{kDamaged} naming the first.
struct SnapshotBodies {
  std::vector<ReplicaBody> bodies;
  std::vector<ReplicaBody> spare_bodies;
};
SnapshotBodies read_bodies(ReplicaStore& store, const ReplicaStore::Sizes& listing, const Manifest& manifest,
                           const Path& scratch, std::vector<std::string>* harmed = nullptr);

/// Names of every object that the snapshot needs.
std::set<std::string> objects_of(const Manifest& manifest, const SnapshotBodies& bodies);

/// A folder for what is on its way, removed with everything in it when this goes. Its name means nothing to a vault.
class Scratch {
 public:
  explicit Scratch(const Path& beside);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const Path& folder() const { return folder_; }
  /// Writes a file below it; does nothing when it is there.
  void put(const std::string& name, ByteView content) const;

 private:
  Path folder_;
};

}  // namespace casevault
