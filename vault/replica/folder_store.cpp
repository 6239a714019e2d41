#include <set>

#include "crypto/error.h"
#include "crypto/random.h"
#include "vault/replica/layout.h"
#include "vault/replica/store.h"
#include "vault/storage/layout.h"
#include "vault/storage/new_file.h"

namespace casevault {
namespace {

constexpr std::size_t kBlockSize = 1u << 20;  // bytes
constexpr int kLockTimeoutMs = 10'000;
constexpr std::size_t kMany = 64;  // objects from which on one sync of the file system is less work

/// Copies all of `from` by `append`; returns the hash of it.
template <typename Append>
Sha256Digest copy_content(File& from, const Environment& environment, const ReplicaStore::Progress& progress,
                          const Append& append) {
  from.advise_sequential();
  Sha256 hash;
  Bytes block(kBlockSize);
  for (std::uint64_t at = 0;;) {
    stop_if_interrupted(environment);
    const auto count = from.read_at(at, block);
    const auto data = ByteView(block).first(count);
    append(at, data);
    hash.update(data);
    at += count;
    if (progress) progress(count);
    if (count < block.size()) return hash.finish();
  }
}

class FolderStore : public ReplicaStore {
 public:
  FolderStore(Path folder, const Environment& environment) : folder_(std::move(folder)), environment_(environment) {}

  std::string label() const override {
    const auto path = std::filesystem::absolute(folder_).lexically_normal();
    return (path.has_filename() ? path : path.parent_path()).filename().string();
  }

  Sizes list() override {
    Sizes sizes;
    for (const char* part : {"bodies", "objects", "snapshots"}) {
      refuse_link(folder_ / part);
      walk_files(folder_, part, [&](const std::string& name, std::uint64_t size) {
        if (is_replica_object(name)) sizes.emplace(name, size);
        if (is_replica_leftover(name)) leftovers_.insert(folder_ / name);
      });
    }
    return sizes;
  }

  Path folder() const override { return folder_; }

  std::optional<Bytes> read(const std::string& name, std::size_t max_bytes) override {
    return read_small_file(folder_ / name, max_bytes);
  }

  Digests put(const Path& from, const Names& names, const Progress& progress) override {
    Digests digests;
    if (names.empty()) return digests;
    for (const auto& path : std::exchange(leftovers_, {})) remove_file(path);
    const bool many = names.size() >= kMany;
    for (const auto& name : names) digests[name] = put_one(from / name, name, !many, progress);
    // Of many, one wait for the disk for all; which of them a crash left unwritten, their hashes tell.
    many ? sync_file_system(folder_) : sync_folders(names);
    return digests;
  }

  Digests hash(const Names& names, const Progress& progress) override {
    Digests digests;
    for (const auto& name : names) {
      try {
        // From the disk, where the system lets one: what is in memory proves nothing.
        if (auto file = File::open_for_reading(folder_ / name)) file->drop_cache();
        digests[name] = hash_file(folder_ / name, environment_, progress);
      } catch (const Error& error) {
        if (error.code() == Errc::kInterrupted) throw;  // else: it cannot be read, which is what the caller finds
      }
    }
    return digests;
  }

  void fetch(const Names& names, const Path& to, const Progress& progress) override {
    for (const auto& name : names) {
      auto source = open_for_fetching(name);
      if (!source) continue;
      make_folders((to / name).parent_path());
      remove_file(to / name);
      auto target = File::create_new(to / name);
      copy_content(*source, environment_, progress, [&](std::uint64_t at, ByteView data) {
        target.write_at(at, data);
        target.start_writeback(at, data.size());
      });
    }
  }

  void remove(const Names& names) override {
    for (const auto& name : names) {
      require(is_replica_object(name), "something else than an object was to be removed from a replica");
      refuse_links_above(name);
      remove_file(folder_ / name);
    }
    if (!names.empty()) sync_file_system(folder_);
  }

  std::shared_ptr<void> lock() override {
    if (!std::filesystem::exists(folder_)) make_directory(folder_);
    auto folder = std::make_shared<File>(File::open_directory(folder_));
    try {
      folder->lock(File::Lock::kExclusive, kLockTimeoutMs);
    } catch (const Error& error) {
      if (error.code() != Errc::kBusy) throw;
      throw Error(Errc::kBusy, "another process is making a replica there", "wait for it, then repeat the command");
    }
    return folder;
  }

 private:
  /// Somebody may have put one there, to lead elsewhere what is written and deleted.
  static void refuse_link(const Path& path) {
    if (!std::filesystem::is_symlink(std::filesystem::symlink_status(path))) return;
    throw Error(Errc::kUsage, path.string() + " is a link, which casevault does not make: nothing is done there",
                "somebody changed the replica: choose another place for a new one, and look at this one");
  }
  void refuse_links_above(const std::string& name) {
    for (auto folder = Path(name).parent_path(); !folder.empty(); folder = folder.parent_path()) {
      if (!real_folders_.insert(folder).second) continue;
      refuse_link(folder_ / folder);
    }
  }

  void sync_folders(const Names& names) const {
    std::set<Path> folders;
    for (const Path name : names) {
      for (auto folder = name.parent_path(); !folder.empty(); folder = folder.parent_path()) folders.insert(folder);
    }
    for (const auto& folder : folders) sync_directory(folder_ / folder);
    sync_directory(folder_);
  }

  Sha256Digest put_one(const Path& from, const std::string& name, bool sync, const Progress& progress) {
    auto source = File::open_for_reading(from);
    if (!source) throw Error(Errc::kNotFound, from.filename().string() + " is not there any more");
    refuse_links_above(name);
    make_folders((folder_ / name).parent_path());
    const auto target = folder_ / name;
    remove_file_if_there(target);
    auto file = NewFile::beside(target);
    const auto digest =
        copy_content(*source, environment_, progress, [&](std::uint64_t, ByteView data) { file.append(data); });
    if (sync) file.sync();
    file.publish_unsynced();
    return digest;
  }

  /// What lies there was found not to be what it should: an interrupted copy.
  static void remove_file_if_there(const Path& target) {
    if (std::filesystem::exists(std::filesystem::symlink_status(target))) remove_file(target);
  }

  std::optional<File> open_for_fetching(const std::string& name) const {
    try {
      return File::open_for_reading(folder_ / name);
    } catch (const Error&) {
      return std::nullopt;  // the caller finds that it is not there
    }
  }

  Path folder_;
  std::set<Path> real_folders_;  // no links
  std::set<Path> leftovers_;     // of interrupted copies, where files cannot be made without a name
  const Environment& environment_;
};

}  // namespace

std::unique_ptr<ReplicaStore> make_folder_store(const Path& folder, const Environment& environment) {
  return std::make_unique<FolderStore>(folder, environment);
}

}  // namespace casevault
