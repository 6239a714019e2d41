#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "vault/replica/restore.h"

namespace casevault {

/// Fetches objects of a replica, checks them, and names what is wrong: what is not whole is not left in the folder.
class Fetcher {
 public:
  Fetcher(ReplicaStore& store, const Environment& environment, const RestoreProgress& progress)
      : store_(store), listing_(store.list()), environment_(environment), progress_(progress) {}

  const ReplicaStore::Sizes& listing() const { return listing_; }
  void set_total(std::uint64_t total) { total_ = total; }

  /// The files of a vault.
  void files(const Manifest& manifest, const Path& folder);
  /// Bodies, into a folder where those that are whole already stay.
  void bodies(const std::vector<ReplicaBody>& bodies, const Path& folder);

  std::vector<Finding>& findings() { return findings_; }
  /// Files of the vault that were left out.
  std::vector<std::string>& lost() { return lost_; }
  /// Names of objects that are missing or changed.
  std::set<std::string>& harmed() { return harmed_; }

 private:
  void bad(const std::string& what_of_the_vault, const std::string& object, const std::string& harm);
  void advance(std::uint64_t bytes);
  /// Empty where an object of that size is there; else what is wrong with it.
  std::string harm_of(const std::string& name, std::uint64_t size) const;
  void put_together(const std::vector<const ReplicaFile*>& files, const Path& folder);
  bool put_together(const ReplicaFile& file, const Path& scratch, const Path& path);
  bool is_whole(const ReplicaBody& body, const Path& folder) const;
  void fetch_and_check(const std::vector<const ReplicaBody*>& bodies, const Path& folder);

  ReplicaStore& store_;
  ReplicaStore::Sizes listing_;
  const Environment& environment_;
  const RestoreProgress& progress_;
  std::vector<Finding> findings_;
  std::vector<std::string> lost_;
  std::set<std::string> harmed_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
};

/// Objects on their way, in the folder that is put together.
inline constexpr const char* kFetchScratch = ".objects.partial";

/// @throws Error
void remove_tree(const Path& path);

}  // namespace casevault
