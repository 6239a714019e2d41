#include "vault/replica/restore.h"

#include <algorithm>

#include "crypto/error.h"
#include "vault/access/decoy.h"
#include "vault/audit/log.h"
#include "vault/raid/tombstone.h"
#include "vault/replica/freeze.h"
#include "vault/replica/known.h"
#include "vault/replica/layout.h"
#include "vault/storage/bodies.h"
#include "vault/storage/json.h"
#include "vault/storage/slots.h"

namespace casevault {
namespace {

constexpr std::uint64_t kBatchBytes = 1u << 30;  // fetched at once, then checked
constexpr std::size_t kBatchNames = 20'000;
constexpr std::size_t kMaxHeaderSize = 64u << 10;
constexpr std::size_t kPageSize = 4096;
constexpr int kFreezeTimeoutMs = 10'000;
constexpr const char* kScratch = ".objects.partial";
constexpr const char* kAbsent = "absent";
constexpr std::string_view kFromElsewhere =
    "take it from another replica, or restore an older snapshot: --snapshot N --older";
using Sizes = ReplicaStore::Sizes;

Path spare_or_not(const Path& folder, bool spare) { return spare ? folder / kSpare : folder; }

void remove_tree(const Path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) throw Error(error_code_of(error.value()), "cannot remove " + path.string());
}

/// What an earlier attempt left, but for the bodies: of another snapshot, perhaps.
void clear_but_bodies(const Path& folder) {
  for (const auto& name : list_directory(folder)) {
    if (name != "bodies" && name != kSpare) remove_tree(folder / name);
  }
  for (const auto& name : list_directory(folder / kSpare)) {
    if (name != "bodies") remove_tree(folder / kSpare / name);
  }
}

void make_skeleton(const Path& folder) {
  for (const char* name : {"cases", "bodies", "handover", "audit"}) make_folders(folder / name);
  auto reserve = File::create_new(folder / "audit" / "reserve");
  reserve.allocate(kAuditReserveSize);
}

/// Fetches objects, checks them, and names what is wrong.
class Fetcher {
 public:
  Fetcher(ReplicaStore& store, Sizes listing, const Environment& environment, const RestoreProgress& progress)
      : store_(store), listing_(std::move(listing)), environment_(environment), progress_(progress) {}

  const Sizes& listing() const { return listing_; }
  std::vector<Finding>& findings() { return findings_; }
  void set_total(std::uint64_t total) { total_ = total; }

  void files(const Manifest& manifest, const Path& folder) {
    std::vector<const ReplicaFile*> batch;
    std::uint64_t bytes = 0;
    for (const auto& file : manifest.files) {
      batch.push_back(&file);
      bytes += file.size;
      if (bytes < kBatchBytes) continue;
      put_together(batch, folder);
      batch.clear();
      bytes = 0;
    }
    put_together(batch, folder);
  }

  /// Into `folder`, where those that are whole stay.
  void bodies(const std::vector<ReplicaBody>& bodies, const Path& folder) {
    std::vector<const ReplicaBody*> batch;
    std::uint64_t bytes = 0;
    for (const auto& body : bodies) {
      if (is_whole(body, folder)) {
        advance(body.size);
        continue;
      }
      if (!is_there(body_object_name(to_hex(body.id)), body.size)) continue;
      batch.push_back(&body);
      bytes += body.size;
      if (bytes < kBatchBytes && batch.size() < kBatchNames) continue;
      fetch_and_check(batch, folder);
      batch.clear();
      bytes = 0;
    }
    fetch_and_check(batch, folder);
  }

 private:
  void bad(const std::string& object, const std::string& what) {
    findings_.push_back({Finding::Weight::kBad, object, what + "; " + std::string(kFromElsewhere)});
  }

  void advance(std::uint64_t bytes) {
    done_ += bytes;
    if (progress_) progress_(std::min(done_, total_), total_);
  }

  bool is_there(const std::string& name, std::uint64_t size) {
    const auto found = listing_.find(name);
    if (found == listing_.end()) bad(name, "is missing from the replica");
    if (found != listing_.end() && found->second != size) {
      bad(name, "has " + std::to_string(found->second) + " bytes in the replica instead of " + std::to_string(size));
    }
    return found != listing_.end() && found->second == size;
  }

  void put_together(const std::vector<const ReplicaFile*>& files, const Path& folder) {
    std::set<std::string> names;
    for (const auto* file : files) {
      for (std::size_t i = 0; i < file->chunks.size(); ++i) {
        const auto size = std::min(file->size - i * kReplicaChunkSize, kReplicaChunkSize);
        const auto name = object_name(file->chunks[i]);
        if (is_there(name, size)) names.insert(name);
      }
    }
    const auto scratch = folder / kScratch;
    make_folders(scratch);
    store_.fetch({names.begin(), names.end()}, scratch, {});
    for (const auto* file : files) put_together(*file, scratch, folder / file->name);
    remove_tree(scratch);
  }

  void put_together(const ReplicaFile& file, const Path& scratch, const Path& path) {
    make_folders(path.parent_path());
    auto target = File::create_new(path);
    Sha256 whole;
    std::uint64_t at = 0;
    for (const auto& chunk : file.chunks) {
      const auto name = object_name(chunk);
      const auto content = read_small_file(scratch / name, kReplicaChunkSize);
      if (!content) return missed(name);
      if (sha256(*content) != chunk) return bad(name, "was changed in the replica, which " + file.name + " needs");
      target.write_at(at, *content);
      whole.update(*content);
      at += content->size();
      advance(content->size());
    }
    if (at != file.size || whole.finish() != file.hash) bad(file.name, "is not what the snapshot says");
  }

  /// Named already, unless it went between listing and fetching.
  void missed(const std::string& name) {
    if (listing_.contains(name) && std::ranges::find(findings_, name, &Finding::object) == findings_.end())
      bad(name, "could not be read from the replica");
  }

  bool is_whole(const ReplicaBody& body, const Path& folder) {
    const auto path = folder / body_object_name(to_hex(body.id));
    const auto file = File::open_for_reading(path);
    return file && file->size() == body.size && hash_file(path, environment_, {}) == body.hash;
  }

  void fetch_and_check(const std::vector<const ReplicaBody*>& bodies, const Path& folder) {
    ReplicaStore::Names names;
    for (const auto* body : bodies) names.push_back(body_object_name(to_hex(body->id)));
    store_.fetch(names, folder, [this](std::uint64_t bytes) { advance(bytes); });
    for (const auto* body : bodies) {
      const auto name = body_object_name(to_hex(body->id));
      if (is_whole(*body, folder)) continue;
      if (std::filesystem::exists(folder / name)) {
        remove_file(folder / name);
        bad(name, "was changed in the replica");
      } else {
        missed(name);
      }
    }
  }

  ReplicaStore& store_;
  Sizes listing_;
  const Environment& environment_;
  const RestoreProgress& progress_;
  std::vector<Finding> findings_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
};

// Which snapshot

/// Of those with this number the one with the longest log: two machines may have made one at once.
std::optional<StoredSnapshot> snapshot_of_number(ReplicaStore& store, const Sizes& listing, std::uint64_t number) {
  std::optional<StoredSnapshot> best;
  for (const auto& name : snapshot_names(listing)) {
    if (number_in_name(name) != number) continue;
    auto found = read_snapshot(store, name);
    if (!best || best->manifest.log.size < found.manifest.log.size) best = std::move(found);
  }
  return best;
}

StoredSnapshot choose_snapshot(ReplicaStore& store, const Sizes& listing, const RestoreRequest& request) {
  const auto names = snapshot_names(listing);
  if (names.empty()) throw Error(Errc::kNoVault, "there is no replica there", "casevault help restore");
  const auto newest = number_in_name(names.back());
  const auto wanted = request.snapshot.value_or(newest);
  try {
    auto found = snapshot_of_number(store, listing, wanted);
    if (!found) {
      throw Error(Errc::kUsage,
                  "there is no snapshot " + std::to_string(wanted) + " there; the newest is " + std::to_string(newest));
    }
    if (wanted < newest && !request.older) {
      throw Error(
          Errc::kUsage,
          "snapshot " + std::to_string(wanted) + " is older than the newest there, number " + std::to_string(newest),
          "to take it all the same, add --older");
    }
    return std::move(*found);
  } catch (const Error& error) {
    if (error.code() != Errc::kDamaged) throw;
    throw Error(Errc::kDamaged, error.what(), "take an older snapshot: --snapshot N --older, or another replica");
  }
}

/// What this machine remembers of a newer one.
void refuse_older(const Manifest& manifest, const Environment& environment, bool accept) {
  const auto known = known_snapshot(environment, manifest.vault);
  if (!known || known->log_size <= manifest.log.size || accept) return;
  throw Error(Errc::kDamaged,
              "this replica is older than one that this machine knows of: its snapshot " +
                  std::to_string(manifest.number) + " has " + std::to_string(manifest.log.size) +
                  " audit entries, and snapshot " + std::to_string(known->number) + " had " +
                  std::to_string(known->log_size) + "; newer snapshots were taken away, or it is another replica",
              "find the newer one, or take this one all the same: --older");
}

// Structure

Finding damaged(const std::string& object, const std::string& what) { return {Finding::Weight::kBad, object, what}; }

/// What can be seen without keys: a snapshot may have been written by anybody.
void check_structure(const Path& folder, const Manifest& manifest, const Environment& environment,
                     std::vector<Finding>& findings) {
  const auto header_file = read_small_file(folder / "vault.json", kMaxHeaderSize);
  if (!header_file) return findings.push_back(damaged("vault.json", "is missing from the snapshot"));
  if (parse_tombstone(*header_file)) {
    return findings.push_back(damaged("vault.json", "this snapshot is of a vault that was destroyed"));
  }
  const auto header = parse_header(*header_file, environment.cost_floor);
  if (header.vault_id != manifest.vault) findings.push_back(damaged("vault.json", "is of another vault"));
  const auto slots = File::open_for_reading(folder / "slots");
  if (!slots || slots->size() != kSlotCount * kSlotSize) findings.push_back(damaged("slots", "is missing or cut off"));
  for (const auto& file : manifest.files) {
    if (file.name.ends_with(".db") && (file.size == 0 || file.size % kPageSize != 0)) {
      findings.push_back(damaged(file.name, "is no whole database"));
    }
  }
}

void check_log(const Path& folder, const Manifest& manifest, std::vector<Finding>& findings) {
  const auto log = File::open_for_reading(folder / "audit" / "log");
  MerkleFrontier tree;
  Bytes block(2048 * kAuditRecordSize);
  for (std::uint64_t at = 0; log;) {
    const auto count = log->read_at(at, block);
    for (std::size_t record = 0; record + kAuditRecordSize <= count; record += kAuditRecordSize) {
      tree.append(merkle_leaf_hash(ByteView(block).subspan(record, kAuditRecordSize)));
    }
    at += count;
    if (count < block.size()) break;
  }
  if (tree.size() != manifest.log.size || tree.root() != manifest.log.root) {
    findings.push_back(damaged("audit/log", "is not the one that the snapshot names"));
  }
}

// The folder of a vault as a source

void copy_bodies(const Path& from, const Path& to, const Environment& environment, Rebuilt& rebuilt) {
  ReplicaStore::Names names;
  for (const auto& body : BodyStore(from / "bodies").list().bodies) names.push_back(body_object_name(body));
  make_folder_store(from, environment)->fetch(names, to, [&](std::uint64_t bytes) { rebuilt.bytes += bytes; });
}

Rebuilt copy_vault(const Path& source, const Path& folder, const Environment& environment) {
  Rebuilt rebuilt;
  Vault::open(source, environment);
  auto frozen = Freeze::take(source, kFreezeTimeoutMs);
  std::map<std::string, Bytes> chunks;  // of one file at a time
  const auto scratch = folder / kScratch;
  make_folders(scratch);
  const auto files = frozen.read([&](const Sha256Digest& hash, ByteView chunk) {
    const auto path = scratch / object_name(hash);
    make_folders(path.parent_path());
    if (!std::filesystem::exists(path)) File::create_new(path).write_at(0, chunk);
    rebuilt.bytes += chunk.size();
  });
  for (const auto& file : files) {
    make_folders((folder / file.name).parent_path());
    auto target = File::create_new(folder / file.name);
    for (std::uint64_t i = 0; i < file.chunks.size(); ++i) {
      target.write_at(i * kReplicaChunkSize,
                      *read_small_file(scratch / object_name(file.chunks[i]), kReplicaChunkSize));
    }
  }
  remove_tree(scratch);
  for (const bool spare : {false, true}) {
    if (std::filesystem::is_directory(spare_or_not(source, spare)))
      copy_bodies(spare_or_not(source, spare), spare_or_not(folder, spare), environment, rebuilt);
  }
  rebuilt.warnings.push_back("the source is a vault's folder: nothing shows whether it is the newest copy");
  return rebuilt;
}

void remove_other_bodies(const Path& folder, const std::vector<ReplicaBody>& bodies) {
  std::set<std::string> wanted;
  for (const auto& body : bodies) wanted.insert(to_hex(body.id));
  const BodyStore store(folder / "bodies");
  for (const auto& name : store.list().bodies) {
    if (!wanted.contains(name)) store.remove(name);
  }
}

std::uint64_t bytes_of(const std::vector<ReplicaBody>& bodies) {
  std::uint64_t bytes = 0;
  for (const auto& body : bodies) bytes += body.size;
  return bytes;
}

}  // namespace

Rebuilt rebuild_vault(const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                      const Environment& environment, const RestoreProgress& progress) {
  make_folders(folder);
  clear_but_bodies(folder);
  make_skeleton(folder);
  const bool is_vault = !is_remote(request.source) && std::filesystem::exists(Path(request.source) / "vault.json") &&
                        !std::filesystem::exists(Path(request.source) / "snapshots");
  if (is_vault) {
    auto copied = copy_vault(request.source, folder, environment);
    if (std::filesystem::is_directory(folder / kSpare)) make_skeleton(folder / kSpare);
    sync_file_system(folder);
    return copied;
  }
  const auto store = open_replica_store(request.source, rclone, environment);
  Fetcher fetcher(*store, store->list(), environment, progress);
  Rebuilt rebuilt;
  rebuilt.snapshot = choose_snapshot(*store, fetcher.listing(), request);
  const auto& manifest = rebuilt.snapshot->manifest;
  refuse_older(manifest, environment, request.older);
  rebuilt.bodies = read_bodies(*store, fetcher.listing(), manifest, folder / kScratch);
  for (const auto& file : manifest.files) rebuilt.bytes += file.size;
  if (!request.leave_bodies) {
    rebuilt.bytes += bytes_of(rebuilt.bodies.bodies) + bytes_of(rebuilt.bodies.spare_bodies);
  }
  fetcher.set_total(rebuilt.bytes);
  fetcher.files(manifest, folder);
  const bool has_spare =
      std::ranges::any_of(manifest.files, [](const auto& f) { return f.name.starts_with("spare/"); });
  if (has_spare) make_skeleton(folder / kSpare);
  remove_other_bodies(folder, rebuilt.bodies.bodies);
  if (!request.leave_bodies) fetcher.bodies(rebuilt.bodies.bodies, folder);
  // Few, and whose they are must not show.
  if (has_spare) fetcher.bodies(rebuilt.bodies.spare_bodies, folder / kSpare);
  rebuilt.findings = std::move(fetcher.findings());
  if (rebuilt.findings.empty()) {
    check_structure(folder, manifest, environment, rebuilt.findings);
    check_log(folder, manifest, rebuilt.findings);
  }
  sync_file_system(folder);
  return rebuilt;
}

Path place_to_rebuild(const Path& folder) {
  const auto absolute = std::filesystem::absolute(folder).lexically_normal();
  const auto target = absolute.has_filename() ? absolute : absolute.parent_path();
  return target.parent_path() / ("." + target.filename().string() + ".restore.partial");
}

File lock_rebuilding(const Path& place) {
  make_directory(place);
  auto lock = File::open_directory(place);
  if (!lock.try_lock(File::Lock::kExclusive)) {
    throw Error(Errc::kBusy, "another process is restoring to the same place", "wait until it has ended");
  }
  return lock;
}

void publish_rebuilt(const Path& place, const Path& folder) {
  if (std::filesystem::exists(std::filesystem::symlink_status(folder))) {
    throw Error(Errc::kUsage, "something is there already: " + folder.string(),
                "choose another place with --vault DIR");
  }
  sync_file_system(place);
  const auto target = std::filesystem::absolute(folder).lexically_normal();
  replace_by_rename(place, target.has_filename() ? target : target.parent_path());
}

std::vector<Finding> fetch_bodies(const Rebuilt& rebuilt, const std::vector<std::string>& names,
                                  const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                                  const Environment& environment, const RestoreProgress& progress) {
  const std::set<std::string> wanted(names.begin(), names.end());
  std::vector<ReplicaBody> bodies;
  for (const auto& body : rebuilt.bodies.bodies) {
    if (wanted.contains(to_hex(body.id))) bodies.push_back(body);
  }
  const auto store = open_replica_store(request.source, rclone, environment);
  Fetcher fetcher(*store, store->list(), environment, progress);
  fetcher.set_total(bytes_of(bodies));
  fetcher.bodies(bodies, folder);
  sync_file_system(folder);
  return std::move(fetcher.findings());
}

namespace {

/// A body that a restore left out on purpose.
bool is_left_out(const Finding& finding, const Rebuilt& rebuilt, const Path& folder) {
  constexpr std::size_t kNameAt = 10;  // behind "bodies/xx/"
  if (!finding.object.starts_with("bodies/") || finding.object.size() < kNameAt + 32) return false;
  const auto id = array_from_hex<16>(finding.object.substr(kNameAt, 32));
  const auto is_listed = [&](const ReplicaBody& body) { return body.id == *id; };
  return id && std::ranges::any_of(rebuilt.bodies.bodies, is_listed) &&
         !std::filesystem::exists(folder / body_object_name(to_hex(*id)));
}

}  // namespace

VerifyResult check_restored(Session& session, const Rebuilt& rebuilt, const RestoreProgress& progress) {
  const auto signer = rebuilt.snapshot ? signer_of(rebuilt.snapshot->manifest, session) : std::nullopt;
  session.record("restore", rebuilt.snapshot ? "snapshot " + std::to_string(rebuilt.snapshot->number) : "vault",
                 rebuilt.snapshot && !signer ? "refused" : "done");
  auto result = verify_vault(session, false, progress);
  if (is_absent_partly(session.place())) {
    std::erase_if(result.findings, [&](const Finding& f) { return is_left_out(f, rebuilt, session.place()); });
  }
  if (rebuilt.snapshot && !signer) {
    result.findings.insert(
        result.findings.begin(),
        damaged(rebuilt.snapshot->name,
                "is not signed by anybody in this vault: somebody else put it together; take another "
                "snapshot: --snapshot N --older"));
  }
  return result;
}

void mark_absent(const Path& folder, const StoredSnapshot& snapshot) {
  const nlohmann::json fields = {{"casevault", "absent"}, {"snapshot", to_hex(snapshot.hash)}};
  replace_file(folder / kAbsent, as_bytes(fields.dump()));
}

bool is_absent_partly(const Path& folder) { return std::filesystem::exists(folder / kAbsent); }

void unmark_absent(const Path& folder) {
  remove_file(folder / kAbsent);
  sync_directory(folder);
}

Rebuilt complete_vault(const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                       const Environment& environment, const RestoreProgress& progress) {
  const auto mark = read_small_file(folder / kAbsent, kMaxHeaderSize);
  if (!mark) throw Error(Errc::kUsage, "nothing is absent from this vault");
  const auto parsed = parse_canonical(as_text(*mark), kAbsent);
  Fields fields(parsed, kAbsent);
  fields.text("casevault");
  const auto wanted = fields.hex<32>("snapshot");
  const auto store = open_replica_store(request.source, rclone, environment);
  Fetcher fetcher(*store, store->list(), environment, progress);
  Rebuilt rebuilt;
  for (const auto& name : snapshot_names(fetcher.listing())) {
    auto found = read_snapshot(*store, name);
    if (found.hash == wanted) rebuilt.snapshot = std::move(found);
  }
  if (!rebuilt.snapshot) {
    throw Error(Errc::kNotFound, "the snapshot that this vault was restored from is not there any more",
                "restore the newest into a new folder: casevault restore SOURCE --vault DIR");
  }
  const auto scratch = folder / kScratch;
  make_folders(scratch);
  rebuilt.bodies = read_bodies(*store, fetcher.listing(), rebuilt.snapshot->manifest, scratch);
  remove_tree(scratch);
  rebuilt.bytes = bytes_of(rebuilt.bodies.bodies);
  fetcher.set_total(rebuilt.bytes);
  fetcher.bodies(rebuilt.bodies.bodies, folder);
  rebuilt.findings = std::move(fetcher.findings());
  sync_file_system(folder);
  return rebuilt;
}

}  // namespace casevault
