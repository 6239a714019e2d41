#include "vault/replica/freeze.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>

#include "crypto/error.h"
#include "vault/access/decoy.h"
#include "vault/audit/log.h"
#include "vault/replica/layout.h"

namespace casevault {
namespace {

// sqlite.org/src/file/src/os.h: where SQLite locks, whatever the size of the file.
constexpr std::uint64_t kPendingByte = 0x40000000;
constexpr std::uint64_t kSharedFirst = kPendingByte + 2;
constexpr std::uint64_t kSharedSize = 510;

/// An open file description lock (fcntl(2)), which SQLite's own locks respect. False: somebody holds it to write.
bool set_range(const File& file, short type, std::uint64_t offset, std::uint64_t length) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(offset);
  range.l_len = static_cast<off_t>(length);
  if (::fcntl(file.descriptor(), F_OFD_SETLK, &range) == 0) return true;
  if (errno == EAGAIN || errno == EACCES || errno == EINTR) return false;
  throw Error(error_code_of(errno), "cannot lock " + file.path().filename().string());
}

/// As SQLite takes a shared lock: past a writer that waits for its turn nobody slips.
bool try_lock_as_reader(const File& database) {
  if (!set_range(database, F_RDLCK, kPendingByte, 1)) return false;
  const bool locked = set_range(database, F_RDLCK, kSharedFirst, kSharedSize);
  set_range(database, F_UNLCK, kPendingByte, 1);
  return locked;
}

void lock_as_reader(File& database, int timeout_ms) {
  constexpr timespec kPause{0, 5'000'000};  // 5 ms
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!try_lock_as_reader(database)) {
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Error(Errc::kBusy, "somebody writes to " + database.path().filename().string() + " without a pause",
                  "repeat the command a little later");
    }
    ::nanosleep(&kPause, nullptr);
  }
}

}  // namespace

Freeze Freeze::take(const Path& vault, int timeout_ms) {
  Freeze freeze(vault);
  std::vector<std::string> roots = {""};
  if (std::filesystem::is_directory(vault / kSpare)) roots.push_back(std::string(kSpare) + "/");
  // Keys first, then catalogues, then cases: a case that is in a catalogue has its database.
  for (const auto& root : roots) freeze.add_slots(root, timeout_ms);
  for (const auto& root : roots) freeze.add_databases(root, "", timeout_ms);
  for (const auto& root : roots) freeze.add_databases(root, "cases/", timeout_ms);
  for (const auto& root : roots) freeze.add_rest(root);
  return freeze;
}

void Freeze::add_file(const std::string& name, bool is_database) {
  auto file = File::open_for_reading(vault_ / name);
  if (!file) return;
  const auto size = file->size();
  parts_.push_back({name, std::move(*file), size, is_database});
}

void Freeze::add_slots(const std::string& root, int timeout_ms) {
  add_file(root + "slots", false);
  if (parts_.empty() || parts_.back().name != root + "slots") {
    if (!root.empty()) return;
    throw Error(Errc::kDamaged, "slots is missing", "restore the whole vault from one copy");
  }
  parts_.back().file.lock(File::Lock::kShared, timeout_ms);
}

void Freeze::add_databases(const std::string& root, const std::string& folder, int timeout_ms) {
  for (const auto& file : list_directory(vault_ / (root + folder))) {
    const auto name = root + folder + file;
    if (!is_replicated_file(name) || !name.ends_with(".db")) continue;
    add_file(name, true);
    if (parts_.back().name != name) continue;
    lock_as_reader(parts_.back().file, timeout_ms);
    parts_.back().size = parts_.back().file.size();
  }
}

/// Journals last: of a database that is locked, one with something in it was left by a crash.
void Freeze::add_rest(const std::string& root) {
  for (const auto* folder : {"", "cases/", "handover/", "audit/"}) {
    for (const auto& file : list_directory(vault_ / (root + folder))) {
      const auto name = root + folder + file;
      if (!is_replicated_file(name) || name.ends_with(".db") || file == "slots") continue;
      add_file(name, false);
      auto& part = parts_.back();
      if (part.name != name) continue;
      if (file == "log") part.size -= part.size % kAuditRecordSize;  // a tail was never acknowledged
      if (part.size == 0 && name.ends_with("-journal")) parts_.pop_back();
    }
  }
}

ReplicaFile Freeze::read_part(Part& part, const TakeChunk& take) {
  ReplicaFile file{part.name, part.size, {}, {}};
  MerkleFrontier tree;
  Sha256 whole;
  Bytes block(std::min(part.size, kReplicaChunkSize));
  for (std::uint64_t at = 0; at < part.size; at += kReplicaChunkSize) {
    const auto want = std::min(part.size - at, kReplicaChunkSize);
    if (part.file.read_at(at, std::span(block).first(want)) != want) {
      throw Error(Errc::kDamaged, part.name + " was cut short while it was read", "casevault verify");
    }
    const auto chunk = ByteView(block).first(want);
    whole.update(chunk);
    file.chunks.push_back(sha256(chunk));
    take(file.chunks.back(), chunk);
    for (std::size_t record = 0; part.name == "audit/log" && record < want; record += kAuditRecordSize) {
      tree.append(merkle_leaf_hash(chunk.subspan(record, kAuditRecordSize)));
    }
  }
  file.hash = whole.finish();
  if (part.name == "audit/log") log_ = {tree.size(), tree.root()};
  return file;
}

std::vector<ReplicaFile> Freeze::read(const TakeChunk& take) {
  std::vector<ReplicaFile> files;
  for (auto& part : parts_) {
    files.push_back(read_part(part, take));
    if (part.is_database) set_range(part.file, F_UNLCK, kSharedFirst, kSharedSize);
  }
  std::ranges::sort(files, {}, &ReplicaFile::name);
  return files;
}

}  // namespace casevault
