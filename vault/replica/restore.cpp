#include "vault/replica/restore.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "crypto/error.h"
#include "vault/access/case_access.h"
#include "vault/access/case_keys.h"
#include "vault/access/decoy.h"
#include "vault/audit/log.h"
#include "vault/raid/tombstone.h"
#include "vault/replica/fetcher.h"
#include "vault/replica/freeze.h"
#include "vault/replica/known.h"
#include "vault/replica/layout.h"
#include "vault/storage/bodies.h"
#include "vault/storage/json.h"
#include "vault/storage/layout.h"
#include "vault/storage/slots.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxHeaderSize = 64u << 10;
constexpr std::size_t kPageSize = 4096;
constexpr int kFreezeTimeoutMs = 10'000;
constexpr std::size_t kMaxOlder = 20;  // snapshots looked at for a whole one
using Sizes = ReplicaStore::Sizes;

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

// Which snapshot

/// Of those with this number the one with the longest log: two machines may have made one at once. Who may add to a
/// replica may add more of them.
std::optional<StoredSnapshot> snapshot_of_number(ReplicaStore& store, const Sizes& listing, std::uint64_t number,
                                                 const std::string& wanted) {
  std::optional<StoredSnapshot> best;
  std::optional<Error> unreadable;
  for (const auto& name : snapshot_names(listing)) {
    if (number_in_name(name) != number || (!wanted.empty() && name != wanted)) continue;
    try {
      auto found = read_snapshot(store, name);
      if (!best || best->manifest.log.size < found.manifest.log.size) best = std::move(found);
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
      unreadable = error;
    }
  }
  if (!best && unreadable) throw *unreadable;
  return best;
}

[[noreturn]] void fail_no_replica(const std::string& source, const Sizes& listing) {
  if (!listing.empty()) {
    throw Error(
        Errc::kNoVault, "a replica was begun at " + source + " and not finished: there is no snapshot in it",
        "if the vault still exists, type the same casevault replicate again: it goes on; else try another copy");
  }
  if (is_remote(source)) throw Error(Errc::kNoVault, "there is no replica at " + source, "casevault help restore");
  if (!std::filesystem::is_directory(source)) {
    throw Error(Errc::kNoVault, "there is no folder " + source, "is the disk or stick plugged in and mounted?");
  }
  for (const auto& name : list_directory(source)) {
    if (!std::filesystem::is_directory(Path(source) / name / kSnapshotFolder)) continue;
    throw Error(Errc::kNoVault, "there is no replica in " + source,
                "there is one in " + (Path(source) / name).string() + ": name that folder");
  }
  throw Error(Errc::kNoVault, "there is no replica in " + source, "name the folder that casevault replicate was given");
}

std::vector<std::uint64_t> numbers_of(const Sizes& listing) {
  std::vector<std::uint64_t> numbers;
  for (const auto& name : snapshot_names(listing)) {
    if (numbers.empty() || numbers.back() != number_in_name(name)) numbers.push_back(number_in_name(name));
  }
  return numbers;
}

/// "snapshots here: 3, 4, 7"
std::string say_numbers(const std::vector<std::uint64_t>& numbers) {
  std::string text;
  for (const auto number : numbers) text += (text.empty() ? "snapshots here: " : ", ") + std::to_string(number);
  return text;
}

/// What to try where the file of a snapshot itself cannot be used.
std::string another_snapshot(const std::vector<std::uint64_t>& numbers, std::uint64_t than) {
  const auto older = std::ranges::lower_bound(numbers, than);
  if (older == numbers.begin()) return "take another replica; " + say_numbers(numbers);
  return "take an older one: --snapshot " + std::to_string(*std::prev(older)) + " --older, or another replica; " +
         say_numbers(numbers);
}

StoredSnapshot choose_snapshot(ReplicaStore& store, const Sizes& listing, const RestoreRequest& request) {
  const auto numbers = numbers_of(listing);
  if (numbers.empty()) fail_no_replica(request.source, listing);
  const auto newest = numbers.back();
  const auto wanted = request.snapshot.value_or(newest);
  try {
    auto found = snapshot_of_number(store, listing, wanted, request.file);
    if (!found)
      throw Error(Errc::kUsage, "there is no snapshot " + std::to_string(wanted) + " there", say_numbers(numbers));
    if (wanted < newest && !request.older) {
      throw Error(
          Errc::kUsage,
          "snapshot " + std::to_string(wanted) + " is older than the newest there, number " + std::to_string(newest),
          "to take it all the same, add --older");
    }
    return std::move(*found);
  } catch (const Error& error) {
    if (error.code() != Errc::kDamaged) throw;
    throw Error(Errc::kDamaged, error.what(), another_snapshot(numbers, wanted));
  }
}

/// What this machine remembers of a newer one.
void refuse_older(const VaultId& vault, const std::string& what, std::uint64_t log_size, const Environment& environment,
                  bool accept) {
  const auto known = known_snapshot(environment, vault);
  if (!known || known->log_size <= log_size || accept) return;
  throw Error(Errc::kDamaged,
              "this copy is older than one that this machine knows of: " + what + " has " + std::to_string(log_size) +
                  " audit entries, and snapshot " + std::to_string(known->number) + " had " +
                  std::to_string(known->log_size) + "; newer snapshots were taken away, or it is another replica",
              "find the newer one, or take this one all the same: --older");
}

// Structure

Finding damaged(const std::string& object, const std::string& what) { return {Finding::Weight::kBad, object, what}; }

bool is_lost(const Rebuilt& rebuilt, const std::string& name) {
  return std::ranges::find(rebuilt.lost, name) != rebuilt.lost.end();
}

void lose(Rebuilt& rebuilt, const std::string& name, const std::string& why) {
  rebuilt.findings.push_back(damaged(name, why));
  rebuilt.lost.push_back(name);
}

void check_header(const Path& folder, const Environment& environment, Rebuilt& rebuilt) {
  const auto file = read_small_file(folder / "vault.json", kMaxHeaderSize);
  if (!file) return lose(rebuilt, "vault.json", "is missing from the snapshot");
  if (parse_tombstone(*file)) return lose(rebuilt, "vault.json", "this snapshot is of a vault that was destroyed");
  if (parse_header(*file, environment.cost_floor).vault_id != rebuilt.snapshot->manifest.vault)
    lose(rebuilt, "vault.json", "is of another vault");
}

/// What can be seen without keys: a snapshot may have been written by anybody.
void check_structure(const Path& folder, const Environment& environment, Rebuilt& rebuilt) {
  if (!is_lost(rebuilt, "vault.json")) check_header(folder, environment, rebuilt);
  const auto slots = File::open_for_reading(folder / "slots");
  if (!is_lost(rebuilt, "slots") && (!slots || slots->size() != kSlotCount * kSlotSize))
    lose(rebuilt, "slots", "is missing or cut off");
  for (const auto& file : rebuilt.snapshot->manifest.files) {
    if (file.name.ends_with(".db") && !is_lost(rebuilt, file.name) && (file.size == 0 || file.size % kPageSize != 0))
      lose(rebuilt, file.name, "is no whole database");
  }
}

void check_log(const Path& folder, Rebuilt& rebuilt) {
  if (is_lost(rebuilt, "audit/log")) return;
  const auto& cited = rebuilt.snapshot->manifest.log;
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
  if (tree.size() != cited.size || tree.root() != cited.root)
    lose(rebuilt, "audit/log", "is not the one that the snapshot names");
}

/// A database without its journal, or the other way round, may be a mixture.
void remove_halves(const Path& folder, Rebuilt& rebuilt) {
  for (const auto& name : std::vector(rebuilt.lost)) {
    const std::string database = name.substr(0, name.rfind("-journal"));
    if (!database.ends_with(".db")) continue;
    for (const auto& half : {database, database + "-journal"}) {
      remove_file(folder / half);
      if (!is_lost(rebuilt, half)) rebuilt.lost.push_back(half);
    }
  }
}

// The folder of a vault as a source

void copy_bodies(const Path& from, const Path& to, const Environment& environment, Rebuilt& rebuilt) {
  ReplicaStore::Names names;
  for (const auto& body : BodyStore(from / "bodies").list().bodies) names.push_back(body_object_name(body));
  make_folder_store(from, environment)->fetch(names, to, [&](std::uint64_t bytes) { rebuilt.bytes += bytes; });
}

Rebuilt copy_vault(const RestoreRequest& request, const Path& folder, const Environment& environment) {
  const Path source = request.source;
  Rebuilt rebuilt;
  const auto header = Vault::open(source, environment).header();
  auto frozen = Freeze::take(source, kFreezeTimeoutMs);
  std::map<std::string, Bytes> chunks;  // of one file at a time
  const auto scratch = folder / kFetchScratch;
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
  refuse_older(header.vault_id, "it", frozen.log().size, environment, request.older);
  if (!request.leave_bodies) copy_bodies(source, folder, environment, rebuilt);
  if (std::filesystem::is_directory(source / kSpare))
    copy_bodies(source / kSpare, folder / kSpare, environment, rebuilt);
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

Rebuilt rebuild_from_vault(const RestoreRequest& request, const Path& folder, const Environment& environment) {
  if (request.snapshot)
    throw Error(Errc::kUsage, "this is the folder of a vault, not a replica: there are no snapshots in it");
  auto copied = copy_vault(request, folder, environment);
  if (std::filesystem::is_directory(folder / kSpare)) make_skeleton(folder / kSpare);
  sync_file_system(folder);
  return copied;
}

/// Bodies whose list is lost: what is there under names that no other list could hold. Their size and hash are unknown;
/// `verify` checks those that the user's keys reach.
void guess_bodies(const Sizes& listing, SnapshotBodies& bodies) {
  std::set<std::byte> listed;
  for (const auto& body : bodies.bodies) listed.insert(body.id[0]);
  std::set<ByteArray<16>> spare;
  for (const auto& body : bodies.spare_bodies) spare.insert(body.id);
  for (const auto& [name, size] : listing) {
    const auto id = name.substr(name.rfind('/') + 1);
    if (!is_body_id(id) || body_object_name(id) != name) continue;
    const auto bytes = *array_from_hex<16>(id);
    if (!listed.contains(bytes[0]) && !spare.contains(bytes)) bodies.bodies.push_back({bytes, size, {}, false});
  }
  std::ranges::sort(bodies.bodies, {}, &ReplicaBody::id);
}

void list_bodies(ReplicaStore& store, const Sizes& listing, const Path& folder, Rebuilt& rebuilt) {
  std::vector<std::string> harmed;
  const auto& manifest = rebuilt.snapshot->manifest;
  rebuilt.bodies = read_bodies(store, listing, manifest, folder / kFetchScratch, &harmed);
  for (const auto& name : harmed) {
    rebuilt.findings.push_back(damaged(name, "is missing or was changed in the replica: a list of large files"));
    rebuilt.harmed.insert(name);
    const auto names = [&](const BodyList& list) { return object_name(list.hash) == name; };
    if (std::ranges::any_of(manifest.spare_bodies, names)) rebuilt.lost.push_back("spare/bodies");
  }
  if (!harmed.empty()) guess_bodies(listing, rebuilt.bodies);
}

void require_space(const Path& folder, std::uint64_t bytes) {
  const auto free = free_space(folder);
  if (bytes <= free) return;
  throw Error(Errc::kNoSpace,
              std::to_string(bytes / 1'000'000) + " MB are to be written, and " + std::to_string(free / 1'000'000) +
                  " MB are free at " + folder.parent_path().string(),
              "no space left there: free some, or choose another disk with --vault DIR");
}

void take_findings(Fetcher& fetcher, Rebuilt& rebuilt) {
  std::ranges::move(fetcher.findings(), std::back_inserter(rebuilt.findings));
  std::ranges::move(fetcher.lost(), std::back_inserter(rebuilt.lost));
  rebuilt.harmed.merge(fetcher.harmed());
  fetcher.findings().clear();
  fetcher.lost().clear();
}

}  // namespace

bool Rebuilt::opens() const {
  constexpr std::string_view kNeeded[] = {"vault.json", "slots", "catalog.db", "catalog.db-journal", "audit/log"};
  return std::ranges::none_of(lost,
                              [&](const auto& name) { return std::ranges::find(kNeeded, name) != std::end(kNeeded); });
}

bool is_vault_folder(const std::string& source) {
  return !is_remote(source) && std::filesystem::exists(Path(source) / "vault.json") &&
         !std::filesystem::exists(Path(source) / kSnapshotFolder);
}

Rebuilt rebuild_vault(const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                      const Environment& environment, const RestoreProgress& progress) {
  make_folders(folder);
  clear_but_bodies(folder);
  make_skeleton(folder);
  if (is_vault_folder(request.source)) return rebuild_from_vault(request, folder, environment);
  const auto store = open_replica_store(request.source, rclone, environment);
  Fetcher fetcher(*store, environment, progress);
  Rebuilt rebuilt;
  rebuilt.snapshot = choose_snapshot(*store, fetcher.listing(), request);
  rebuilt.numbers = numbers_of(fetcher.listing());
  for (const auto& name : snapshot_names(fetcher.listing())) {
    if (number_in_name(name) == rebuilt.snapshot->number && name != rebuilt.snapshot->name)
      rebuilt.namesakes.push_back(name);
  }
  const auto& manifest = rebuilt.snapshot->manifest;
  refuse_older(manifest.vault, "its snapshot " + std::to_string(manifest.number), manifest.log.size, environment,
               request.older);
  list_bodies(*store, fetcher.listing(), folder, rebuilt);
  for (const auto& file : manifest.files) rebuilt.bytes += file.size;
  require_space(folder, rebuilt.bytes);
  auto total = rebuilt.bytes;
  if (!request.leave_bodies) total += bytes_of(rebuilt.bodies.bodies) + bytes_of(rebuilt.bodies.spare_bodies);
  fetcher.set_total(total);
  fetcher.files(manifest, folder);
  take_findings(fetcher, rebuilt);
  const bool has_spare =
      std::ranges::any_of(manifest.files, [](const auto& f) { return f.name.starts_with("spare/"); });
  if (has_spare) make_skeleton(folder / kSpare);
  remove_other_bodies(folder, rebuilt.bodies.bodies);
  // Few, and whose they are must not show.
  if (has_spare) fetcher.bodies(rebuilt.bodies.spare_bodies, folder / kSpare);
  if (!fetcher.findings().empty()) rebuilt.lost.push_back("spare/bodies");
  if (!request.leave_bodies) fetcher.bodies(rebuilt.bodies.bodies, folder);
  take_findings(fetcher, rebuilt);
  check_structure(folder, environment, rebuilt);
  check_log(folder, rebuilt);
  remove_halves(folder, rebuilt);
  sync_file_system(folder);
  return rebuilt;
}

Path place_to_rebuild(const Path& folder) {
  const auto absolute = std::filesystem::absolute(folder).lexically_normal();
  const auto target = absolute.has_filename() ? absolute : absolute.parent_path();
  return target.parent_path() / ("." + target.filename().string() + ".restore.partial");
}

namespace {

/// What lies there may have been put there, by whoever owned the stick, to lead elsewhere what is removed and written.
void refuse_planted(const Path& place) {
  struct stat status {};
  const auto refuse = [&](const Path& path) {
    throw Error(Errc::kUsage, path.string() + " was not left there by casevault: nothing was done",
                "remove it, or choose another place with --vault DIR");
  };
  if (::lstat(place.c_str(), &status) != 0) return;
  constexpr mode_t kWritableByOthers = S_IWGRP | S_IWOTH;
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & kWritableByOthers) != 0)
    refuse(place);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(place)) {
    const auto type = entry.symlink_status().type();
    if (type != std::filesystem::file_type::regular && type != std::filesystem::file_type::directory)
      refuse(entry.path());
  }
}

}  // namespace

File lock_rebuilding(const Path& place) {
  refuse_planted(place);
  make_directory(place);
  auto lock = File::open_directory(place);
  if (!lock.try_lock(File::Lock::kExclusive) || !lock.is_linked()) {
    throw Error(Errc::kBusy, "another process is restoring to the same place", "wait until it has ended");
  }
  std::filesystem::permissions(place, std::filesystem::perms::owner_all);
  return lock;
}

bool is_worth_keeping(const Path& place) { return !BodyStore(place / "bodies").list().bodies.empty(); }

void remove_rebuilding(const Path& place) { remove_tree(place); }

void publish_rebuilt(const Path& place, const Path& folder) {
  if (std::filesystem::exists(std::filesystem::symlink_status(folder))) {
    throw Error(Errc::kUsage, "something is there already: " + folder.string(),
                "choose another place with --vault DIR");
  }
  sync_file_system(place);
  const auto target = std::filesystem::absolute(folder).lexically_normal();
  replace_by_rename(place, target.has_filename() ? target : target.parent_path());
}

std::vector<Finding> fetch_bodies(Rebuilt& rebuilt, const std::optional<std::vector<std::string>>& names,
                                  const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                                  const Environment& environment, const RestoreProgress& progress) {
  if (!rebuilt.snapshot) {
    copy_bodies(request.source, folder, environment, rebuilt);
    sync_file_system(folder);
    return {};
  }
  std::vector<ReplicaBody> bodies;
  std::uint64_t missing = 0;
  const std::set<std::string> wanted = names ? std::set(names->begin(), names->end()) : std::set<std::string>();
  for (const auto& body : rebuilt.bodies.bodies) {
    const auto id = to_hex(body.id);
    if (names && !wanted.contains(id)) continue;
    bodies.push_back(body);
    if (!std::filesystem::exists(folder / body_object_name(id))) missing += body.size;
  }
  require_space(folder, missing);
  const auto store = open_replica_store(request.source, rclone, environment);
  Fetcher fetcher(*store, environment, progress);
  fetcher.set_total(bytes_of(bodies));
  fetcher.bodies(bodies, folder);
  sync_file_system(folder);
  rebuilt.bytes += bytes_of(bodies);
  rebuilt.harmed.merge(fetcher.harmed());
  return std::move(fetcher.findings());
}

std::optional<Finding> check_signature(Session& session, const Rebuilt& rebuilt) {
  if (!rebuilt.snapshot) {
    session.record("restore", "vault");
    return std::nullopt;
  }
  const bool is_genuine = signer_of(rebuilt.snapshot->manifest, session).has_value();
  session.record("restore", "snapshot " + std::to_string(rebuilt.snapshot->number), is_genuine ? "done" : "refused");
  if (is_genuine) return std::nullopt;
  return damaged(rebuilt.snapshot->name, "is not signed by anybody in this vault: somebody else put it together; " +
                                             another_snapshot(rebuilt.numbers, rebuilt.snapshot->number));
}

namespace {

/// "C-1/E-3, C-1/E-4" by the names of bodies.
std::map<std::string, std::string> records_by_body(Session& session) {
  std::map<std::string, std::string> records;
  for (const auto& [number, entry] : session.state().cases()) {
    if (session.state().grant_of(entry, session.user_id()) == nullptr) continue;
    const auto name = "C-" + std::to_string(number);
    try {
      const auto open = open_case(session, number, Right::kRead, "restore", name);
      session.record("restore", name);
      for (const auto& record : open.store.records()) {
        for (const auto& version : record.versions) {
          const auto content = version.details ? open.store.content(version) : ContentRef(Bytes());
          const auto* body = std::get_if<BodyRef>(&content);
          if (body == nullptr) continue;
          auto& names = records[body_object_name(body->name)];
          const auto one = name + "/" + to_string(record.id);
          if (!names.ends_with(one)) names += (names.empty() ? "" : ", ") + one;
        }
      }
    } catch (const Error& error) {
      if (error.code() == Errc::kInterrupted) throw;
      // It cannot be looked into: it is among what is harmed, or custodians keep it closed.
    }
  }
  return records;
}

}  // namespace

void name_harm(Session& session, std::vector<Finding>& findings) {
  const auto is_body = [](const Finding& finding) { return finding.object.starts_with("bodies/"); };
  const auto records =
      std::ranges::any_of(findings, is_body) ? records_by_body(session) : std::map<std::string, std::string>();
  std::map<std::string, std::string> cases;
  for (const auto& [number, entry] : session.state().cases())
    cases["cases/" + case_path({}, entry.id, entry.epoch).filename().string()] = "C-" + std::to_string(number);
  for (auto& finding : findings) {
    const auto database = finding.object.substr(0, finding.object.rfind("-journal"));
    const auto& names = is_body(finding) ? records : cases;
    const auto found = names.find(is_body(finding) ? finding.object : database);
    if (found != names.end()) finding.object += " (" + found->second + ")";
  }
}

void renew_lost_spare(Session& session, const Rebuilt& rebuilt) {
  if (std::ranges::none_of(rebuilt.lost, [](const auto& name) { return name.starts_with("spare/"); })) return;
  const auto spare = session.place() / kSpare;
  remove_tree(spare);
  make_spare(spare, {session.state().organisation(), session.user_name()}, session.environment());
}

std::optional<std::uint64_t> older_without_harm(const Rebuilt& rebuilt, const RestoreRequest& request,
                                                const Path& folder, const RcloneSettings& rclone,
                                                const Environment& environment) {
  if (!rebuilt.snapshot || rebuilt.harmed.empty()) return std::nullopt;
  const auto store = open_replica_store(request.source, rclone, environment);
  const auto listing = store->list();
  auto names = snapshot_names(listing);
  std::erase_if(names, [&](const auto& name) { return number_in_name(name) >= rebuilt.snapshot->number; });
  std::ranges::reverse(names);
  if (names.size() > kMaxOlder) names.resize(kMaxOlder);
  for (const auto& name : names) {
    try {
      const auto snapshot = read_snapshot(*store, name);
      const auto bodies = read_bodies(*store, listing, snapshot.manifest, folder / kFetchScratch);
      const auto needed = objects_of(snapshot.manifest, bodies);
      const auto is_harmed = [&](const auto& object) { return rebuilt.harmed.contains(object); };
      if (std::ranges::none_of(needed, is_harmed)) return snapshot.number;
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
    }
  }
  return std::nullopt;
}

void mark_absent(const Path& folder, const StoredSnapshot& snapshot) {
  const nlohmann::json fields = {{"casevault", "absent"}, {"snapshot", to_hex(snapshot.hash)}};
  replace_file(folder / kAbsentMark, as_bytes(fields.dump()));
}

bool is_absent_partly(const Path& folder) { return std::filesystem::exists(folder / kAbsentMark); }

void unmark_absent(const Path& folder) {
  remove_file(folder / kAbsentMark);
  sync_directory(folder);
}

Rebuilt complete_vault(const RestoreRequest& request, const Path& folder, const RcloneSettings& rclone,
                       const Environment& environment, const RestoreProgress& progress) {
  const auto mark = read_small_file(folder / kAbsentMark, kMaxHeaderSize);
  if (!mark) throw Error(Errc::kUsage, "nothing is absent from this vault");
  const auto parsed = parse_canonical(as_text(*mark), kAbsentMark);
  Fields fields(parsed, kAbsentMark);
  fields.text("casevault");
  const auto wanted = fields.hex<32>("snapshot");
  const auto store = open_replica_store(request.source, rclone, environment);
  Fetcher fetcher(*store, environment, progress);
  Rebuilt rebuilt;
  const auto beginning = to_hex(wanted).substr(0, 16);
  for (const auto& name : snapshot_names(fetcher.listing())) {
    if (name.find("-" + beginning + ".") == name.npos) continue;
    auto found = read_snapshot(*store, name);
    if (found.hash == wanted) rebuilt.snapshot = std::move(found);
  }
  if (!rebuilt.snapshot) {
    throw Error(Errc::kNotFound, "the snapshot that this vault was restored from is not there any more",
                "restore the newest into a new folder: casevault restore SOURCE --vault DIR");
  }
  const auto scratch = folder / kFetchScratch;
  make_folders(scratch);
  rebuilt.bodies = read_bodies(*store, fetcher.listing(), rebuilt.snapshot->manifest, scratch);
  remove_tree(scratch);
  rebuilt.bytes = bytes_of(rebuilt.bodies.bodies);
  fetcher.set_total(rebuilt.bytes);
  fetcher.bodies(rebuilt.bodies.bodies, folder);
  take_findings(fetcher, rebuilt);
  sync_file_system(folder);
  return rebuilt;
}

}  // namespace casevault
