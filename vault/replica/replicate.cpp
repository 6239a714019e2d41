#include "vault/replica/replicate.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <set>

#include "crypto/error.h"
#include "vault/access/decoy.h"
#include "vault/access/session_keys.h"
#include "vault/audit/log.h"
#include "vault/replica/freeze.h"
#include "vault/replica/known.h"
#include "vault/replica/layout.h"
#include "vault/replica/losses.h"
#include "vault/replica/restore.h"
#include "vault/replica/snapshots.h"
#include "vault/storage/catalog.h"
#include "vault/storage/replica_rows.h"

namespace casevault {
namespace {

constexpr int kLockTimeoutMs = 10'000;
constexpr int kFreezeTries = 3;  // a body may be withdrawn while it is on its way
using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;
using Names = ReplicaStore::Names;

/// Others may change keys while what was frozen is sent, which can take days.
class LeaveVault {
 public:
  explicit LeaveVault(Session& session) : session_(session) { session_.keys().slots.file().unlock(); }
  ~LeaveVault() {
    try {
      session_.keys().slots.file().lock(File::Lock::kShared, kLockTimeoutMs);
    } catch (const Error&) {
      // Without the lock: Catalog::is_current tells whether somebody changed the keys.
    }
  }
  LeaveVault(const LeaveVault&) = delete;
  LeaveVault& operator=(const LeaveVault&) = delete;

 private:
  Session& session_;
};

/// nullopt when there is none any more.
std::optional<std::uint64_t> size_of(const Path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(status.st_size);
}

/// Names and sizes of the bodies of a vault, by name.
std::map<std::string, std::uint64_t> bodies_in(const Path& root) {
  std::map<std::string, std::uint64_t> bodies;
  walk_files(root, "bodies", [&](const std::string& path, std::uint64_t size) {
    const auto name = path.substr(path.rfind('/') + 1);
    if (is_body_id(name) && path == body_object_name(name)) bodies.emplace(name, size);
  });
  return bodies;
}

const ReplicaBody* find_body(const std::vector<ReplicaBody>& bodies, const ByteArray<16>& id) {
  const auto found = std::ranges::lower_bound(bodies, id, {}, &ReplicaBody::id);
  return found != bodies.end() && found->id == id ? &*found : nullptr;
}

/// Bodies that somebody is writing are locked. A short while after its record is committed a body may still be; what
/// is locked for longer has no record yet.
class Unfinished {
 public:
  bool is_unfinished(const Path& body) {
    constexpr timespec kPause{0, 10'000'000};  // 10 ms
    auto file = File::open_for_reading(body);
    if (!file) return true;
    while (!file->try_lock(File::Lock::kShared)) {
      if (std::chrono::steady_clock::now() >= deadline_) return true;
      ::nanosleep(&kPause, nullptr);
    }
    return false;
  }

 private:
  std::chrono::steady_clock::time_point deadline_ =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kLockTimeoutMs);
};

/// Bodies of one vault: the vault itself, or the one in spare/.
struct BodyPlan {
  Path root;
  std::vector<ReplicaBody> bodies;  // by name; those to be sent or checked have no hash yet
  Names send;                       // not there
  Names check;                      // there, but nobody has vouched for what
};

class Replication {
 public:
  Replication(Session& session, ReplicaStore& store, const std::string& target, const ReplicateRequest& request,
              const Progress& progress)
      : session_(session), store_(store), target_(target), request_(request), progress_(progress) {
    result_.label = store.label();
  }

  Replicated run() {
    try {
      return replicate();
    } catch (const Error& error) {
      throw Error(error.code(), error.what(), hint_for(error));
    }
  }

 private:
  Replicated replicate() {
    const auto vault_lock = lock_vault();
    listing_ = store_.list();
    refuse_emptied();
    const auto store_lock = request_.dry_run ? nullptr : store_.lock();
    if (store_lock) listing_ = store_.list();
    scratch_.emplace(session_.place());
    find_previous();
    result_.number = next_number();
    log("begun");
    try {
      if (request_.check) check_everything();
      for (int tries = 1; !take_snapshot(tries == kFreezeTries); ++tries) {
      }
      if (request_.check) count_mended();
      if (!request_.dry_run && request_.keep) prune();
    } catch (const Error& error) {
      log_failure(error);
      throw;
    }
    finish();
    return std::move(result_);
  }

  std::string objects() const { return "snapshot " + std::to_string(result_.number) + " to " + result_.label; }
  void log(const char* outcome) {
    const char* plain = request_.check ? "replicate-check" : "replicate";
    session_.record(request_.dry_run ? "replicate-dry" : plain, objects(), outcome);
  }

  void log_failure(const Error& error) {
    try {
      if (session_.catalog().is_current()) log(error.code() == Errc::kInterrupted ? "interrupted" : "failed");
    } catch (const Error&) {
      // What failed first is what there is to say.
    }
  }

  /// What to do about what ended it.
  std::string hint_for(const Error& error) const {
    if (!error.hint().empty()) return error.hint();
    switch (error.code()) {
      case Errc::kInterrupted:
        return "type it again: it goes on where it ended";
      case Errc::kNotAllowed:
        return "is the stick write-protected, or does the folder belong to somebody else? Else name another place";
      case Errc::kNoSpace:
        return "make room there, or name a larger disk; then type it again: it goes on where it ended";
      default:
        return {};
    }
  }

  File lock_vault() const {
    auto folder = File::open_directory(session_.place());
    if (!folder.try_lock(File::Lock::kExclusive)) {
      throw Error(Errc::kBusy, "another process is making a replica of this vault", "wait until it has ended");
    }
    return folder;
  }

  // What is there

  /// The newest snapshot that somebody in this vault made; else the newest that can be read.
  void find_previous() {
    const auto names = snapshot_names(listing_);
    bool is_genuine = false;
    for (auto name = names.rbegin(); name != names.rend() && !is_genuine; ++name) {
      try {
        auto found = read_snapshot(store_, *name);
        is_genuine = is_trusted(found);
        if (is_genuine || !previous_) previous_ = std::move(found);
      } catch (const Error& error) {
        if (error.code() != Errc::kDamaged) throw;
        result_.warnings.push_back("a snapshot there cannot be read: " + std::string(error.what()));
      }
    }
    if (previous_ && previous_->manifest.vault != vault_id()) {
      throw Error(Errc::kUsage, "there is a replica of another vault there", "choose another place");
    }
    count_up(names, is_genuine ? previous_->number : 0);
    if (is_genuine) trust_previous();
  }

  /// Numbers go on from the highest there. Names are not believed without bound: somebody could use up all numbers.
  void count_up(const std::vector<std::string>& names, std::uint64_t genuine) {
    constexpr std::uint64_t kFarAway = 1'000'000;
    const auto mine = my_entry();
    const auto known = std::max(genuine, mine && mine->number < kMaxSnapshotNumber / 2 ? mine->number : 0);
    for (const auto& name : names) {
      const auto number = number_in_name(name);
      if (number <= known + kFarAway) {
        newest_number_ = std::max(newest_number_, number);
        continue;
      }
      result_.warnings.push_back(name +
                                 " was not made by casevault: no snapshot has such a number; restore would take it "
                                 "for the newest, so delete it there");
    }
    newest_number_ = std::max(newest_number_, genuine);
  }

  VaultId vault_id() const { return Vault::open(session_.place(), session_.environment()).header().vault_id; }

  /// Made by this vault, or by somebody in it: then what it says of objects needs no second look.
  bool is_trusted(const StoredSnapshot& snapshot) {
    const auto mine = my_entry();
    if (mine && mine->manifest == snapshot.hash) return true;
    return signer_of(snapshot.manifest, session_).has_value();
  }

  std::optional<ReplicaRow> my_entry() {
    for (auto& replica : read_replicas(session_.catalog())) {
      if (replica.target == target_id()) return replica;
    }
    return std::nullopt;
  }

  std::string target_id() const {
    return to_hex(blake2b_256({as_bytes("casevault/v1/replica-target"), as_bytes(target_)}));
  }

  void trust_previous() {
    try {
      known_ = read_bodies(store_, listing_, previous_->manifest, scratch_->folder() / "previous");
      trusted_ = objects_of(previous_->manifest, known_);
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
      result_.warnings.push_back("the newest snapshot there is damaged, so everything is compared anew: " +
                                 std::string(error.what()));
    }
  }

  /// What is mounted nowhere looks like an empty folder.
  void refuse_emptied() {
    const auto mine = my_entry();
    if (!mine || !listing_.empty() || request_.is_new) return;
    throw Error(
        Errc::kUsage,
        "snapshot " + std::to_string(mine->number) + " was made there (" + result_.label +
            "), but the place is empty now",
        "is the disk or stick mounted? If it is a new one, or was emptied on purpose, type the same with --new");
  }

  std::uint64_t next_number() {
    const auto mine = my_entry();
    const auto remembered = mine && mine->number < kMaxSnapshotNumber / 2 ? mine->number : 0;
    if (remembered > newest_number_) {
      result_.warnings.push_back("the newest snapshot that was made there, number " + std::to_string(remembered) +
                                 ", is gone: somebody deleted it, or this is another place");
    }
    return std::max(remembered, newest_number_) + 1;
  }

  // --check

  /// The hashes of bodies, as snapshots that somebody in this vault made say.
  std::map<std::string, Sha256Digest> hashes_of_bodies() {
    std::map<std::string, Sha256Digest> hashes;
    const auto take = [&](const SnapshotBodies& bodies) {
      for (const auto* some : {&bodies.bodies, &bodies.spare_bodies}) {
        for (const auto& body : *some) hashes.emplace(body_object_name(to_hex(body.id)), body.hash);
      }
    };
    take(known_);
    for (const auto& snapshot : readable_snapshots().first) {
      if (!is_trusted(snapshot)) continue;
      std::vector<std::string> harmed;
      take(read_bodies(store_, listing_, snapshot.manifest, scratch_->folder() / "older", &harmed));
    }
    return hashes;
  }

  /// Reads what lies there; what is bad counts as missing from then on, so that it is sent again.
  void check_everything() {
    const auto hashes = hashes_of_bodies();
    Names names;
    std::uint64_t total = 0;
    for (const auto& [name, size] : listing_) {
      if (name.starts_with(kSnapshotFolder) || (name.starts_with("bodies/") && !hashes.contains(name))) continue;
      names.push_back(name);
      total += size;
    }
    std::uint64_t done = 0;
    auto there = store_.hash(names, [&](std::uint64_t bytes) {
      done += bytes;
      if (progress_) progress_(std::min(done, total), total);
    });
    Names unread;
    std::ranges::copy_if(names, std::back_inserter(unread), [&](const auto& name) { return !there.contains(name); });
    if (!unread.empty()) there.merge(store_.hash(unread, {}));  // throws where it was the connection
    for (const auto& name : names) {
      const auto found = there.find(name);
      const bool is_whole = found != there.end() && (name.starts_with("bodies/") ? hashes.at(name) == found->second
                                                                                 : object_name(found->second) == name);
      is_whole ? (void)trusted_.insert(name) : (void)bad_.insert(name);
    }
    if (previous_) {
      for (const auto& name : objects_of(previous_->manifest, known_)) {
        if (!listing_.contains(name)) bad_.insert(name);
      }
    }
    for (const auto& name : bad_) {
      listing_.erase(name);
      trusted_.erase(name);
    }
    result_.checked_objects = names.size();
    result_.checked_bytes = total;
  }

  /// Snapshots that can be read, the newest last; and the names of others.
  std::pair<std::vector<StoredSnapshot>, Names> readable_snapshots() {
    std::pair<std::vector<StoredSnapshot>, Names> found;
    for (const auto& name : snapshot_names(listing_)) {
      try {
        found.first.push_back(read_snapshot(store_, name));
      } catch (const Error& error) {
        if (error.code() != Errc::kDamaged) throw;
        found.second.push_back(name);
      }
    }
    return found;
  }

  /// Of what was bad: what this snapshot needed was sent again, and some of the rest may be needed by older ones.
  void count_mended() {
    const auto listing = store_.list();
    for (const auto& name : objects_of(manifest_, {made_.bodies, made_.spare_bodies})) {
      if (bad_.erase(name) > 0) ++result_.mended_objects;
    }
    std::set<std::string> needed;
    for (const auto& snapshot : readable_snapshots().first) {
      std::vector<std::string> harmed;
      needed.merge(objects_of(snapshot.manifest,
                              read_bodies(store_, listing, snapshot.manifest, scratch_->folder() / "needed", &harmed)));
    }
    std::ranges::set_intersection(bad_, needed, std::back_inserter(result_.unmended));
  }

  bool is_there(const std::string& name, std::uint64_t size) const {
    const auto found = listing_.find(name);
    return found != listing_.end() && found->second == size;
  }

  // What is to be sent

  /// False when something vanished meanwhile, so that it has to be taken again.
  bool take_snapshot(bool is_last_try) {
    manifest_ = {};
    chunks_ = {};
    total_ = done_ = 0;
    result_.bodies = result_.bytes = 0;
    result_.sent_bytes = result_.sent_objects = result_.sent_database_bytes = 0;
    freeze();
    const LeaveVault away(session_);
    try {
      BodyPlan bodies = plan_bodies(session_.place(), known_.bodies);
      BodyPlan spare = plan_bodies(session_.place() / kSpare, known_.spare_bodies);
      count_total(bodies, spare);
      if (request_.dry_run) return true;
      require_space();
      send_bodies(bodies);
      send_bodies(spare);
      manifest_.bodies = put_lists(bodies.bodies);
      manifest_.spare_bodies = put_lists(spare.bodies);
      send_staged();
      write_manifest(bodies, spare);
      made_ = {std::move(bodies.bodies), std::move(spare.bodies)};
      return true;
    } catch (const Error& error) {
      if (error.code() != Errc::kNotFound || is_last_try) throw;
      listing_ = store_.list();
      for (const auto& name : bad_) listing_.erase(name);
      return false;
    }
  }

  void require_space() const {
    const auto folder = store_.folder();
    if (folder.empty() || free_space(folder) >= result_.sent_bytes) return;
    throw Error(Errc::kNoSpace,
                "no space left on " + folder.string() + ": this snapshot needs " + in_words(result_.sent_bytes) + ", " +
                    in_words(free_space(folder)) + " are free",
                "make room there, or name a larger disk; --keep N deletes older snapshots after a new one was made");
  }

  static std::string in_words(std::uint64_t bytes) {
    constexpr std::uint64_t kMegabyte = 1'000'000;
    return bytes < 10 * kMegabyte ? std::to_string(bytes / 1000) + " kB" : std::to_string(bytes / kMegabyte) + " MB";
  }

  void freeze() {
    session_.catalog().refresh();
    auto frozen = Freeze::take(session_.place(), kLockTimeoutMs);
    manifest_.files = frozen.read([&](const Sha256Digest& hash, ByteView chunk) { stage(object_name(hash), chunk); });
    check_header();
    manifest_.vault = vault_id();
    manifest_.number = result_.number;
    manifest_.time_ms = session_.environment().now_ms();
    manifest_.log = frozen.log();
    manifest_.previous = previous_ ? to_hex(previous_->hash) : "";
  }

  /// Destroying begins with the header. What a decoy opens knows nothing of the header outside.
  void check_header() const {
    const auto found = std::ranges::find(manifest_.files, "vault.json", &ReplicaFile::name);
    const bool is_decoy = session_.folder() != session_.place();
    if (found != manifest_.files.end() && (is_decoy || found->hash == session_.state().header_hash())) return;
    throw Error(Errc::kDamaged, "vault.json is not the one of this vault: nothing was copied", "casevault status");
  }

  /// An object made here: a chunk or a list.
  void stage(const std::string& name, ByteView content) {
    if (is_there(name, content.size()) && trusted_.contains(name)) return;
    if (!chunks_.emplace(name, content.size()).second) return;
    if (!request_.dry_run) scratch_->put(name, content);
  }

  BodyPlan plan_bodies(const Path& root, const std::vector<ReplicaBody>& known) {
    BodyPlan plan{root, {}, {}, {}};
    Unfinished unfinished;
    for (const auto& [name, size] : bodies_in(root)) {
      plan_body(plan, name, size, find_body(known, *array_from_hex<16>(name)), unfinished);
    }
    return plan;
  }

  void plan_body(BodyPlan& plan, const std::string& name, std::uint64_t size, const ReplicaBody* known,
                 Unfinished& unfinished) {
    const auto object = body_object_name(name);
    if (known != nullptr && is_there(object, known->size)) {
      plan.bodies.push_back(*known);
      if (known->size != size) {
        result_.warnings.push_back(object + " is damaged here; the replica keeps the whole one: casevault verify");
      }
      return;
    }
    if (unfinished.is_unfinished(plan.root / object)) return;
    const auto now = size_of(plan.root / object);  // it may have been written to until then
    if (!now) return;
    plan.bodies.push_back({*array_from_hex<16>(name), *now, {}});
    (is_there(object, *now) ? plan.check : plan.send).push_back(object);
  }

  void count_total(const BodyPlan& bodies, const BodyPlan& spare) {
    for (const auto* plan : {&bodies, &spare}) {
      const std::set<std::string> sent(plan->send.begin(), plan->send.end());
      for (const auto& body : plan->bodies) {
        result_.bytes += body.size;
        if (!sent.contains(body_object_name(to_hex(body.id)))) continue;
        result_.sent_bytes += body.size;
        ++result_.sent_objects;
      }
      result_.bodies += plan->bodies.size();
    }
    for (const auto& file : manifest_.files) result_.bytes += file.size;
    for (const auto& [name, size] : chunks_) {
      if (is_there(name, size)) continue;
      result_.sent_bytes += size;
      ++result_.sent_objects;
    }
    for (const auto& name : database_chunks()) {
      const auto found = chunks_.find(name);
      if (found != chunks_.end() && !is_there(name, found->second)) result_.sent_database_bytes += found->second;
    }
    total_ = 2 * result_.sent_bytes;  // there, and read back
  }

  std::set<std::string> database_chunks() const {
    std::set<std::string> names;
    for (const auto& file : manifest_.files) {
      if (!file.name.ends_with(".db")) continue;
      for (const auto& chunk : file.chunks) names.insert(object_name(chunk));
    }
    return names;
  }

  // Sending

  void advance(std::uint64_t bytes) {
    done_ += bytes;
    if (progress_ && total_ > 0) progress_(std::min(done_, total_), total_);
  }
  ReplicaStore::Progress advancing() {
    return [this](std::uint64_t bytes) { advance(bytes); };
  }

  void send_bodies(BodyPlan& plan) {
    auto digests = check_bodies(plan);
    digests.merge(put_and_check(plan.root, plan.send));
    for (auto& body : plan.bodies) {
      const auto name = body_object_name(to_hex(body.id));
      const auto found = digests.find(name);
      if (found == digests.end()) continue;
      body.hash = found->second;
      const auto* before = find_body(known_.bodies, body.id);
      if (before != nullptr && before->hash != body.hash)
        result_.warnings.push_back(name + " is bad there and was changed here as well: casevault verify");
    }
  }

  /// Those that an interrupted run left there: kept where they are what they should be.
  ReplicaStore::Digests check_bodies(BodyPlan& plan) {
    ReplicaStore::Digests whole;
    const auto there = store_.hash(plan.check, {});
    for (const auto& name : plan.check) {
      const auto here = hash_file(plan.root / name, session_.environment(), {});
      const auto found = there.find(name);
      if (found != there.end() && found->second == here) {
        whole[name] = here;
      } else {
        plan.send.push_back(name);
      }
    }
    return whole;
  }

  ReplicaStore::Digests put_and_check(const Path& from, const Names& names) {
    auto sent = store_.put(from, names, advancing());
    const auto there = store_.hash(names, advancing());
    for (const auto& [name, digest] : sent) {
      const auto found = there.find(name);
      if (found != there.end() && found->second == digest) continue;
      throw Error(Errc::kDamaged, name + " reads back differently from what was written to " + result_.label,
                  "do not trust that disk or service; repeat the command with another one");
    }
    return sent;
  }

  /// Cut by the first byte of the name, so that a new body changes one list in 256.
  std::vector<BodyList> put_lists(const std::vector<ReplicaBody>& bodies) {
    std::vector<BodyList> lists;
    for (auto first = bodies.begin(); first != bodies.end();) {
      const auto last = std::find_if(first, bodies.end(), [&](const auto& body) { return body.id[0] != first->id[0]; });
      const std::vector<ReplicaBody> some(first, last);
      const auto text = encode_body_list(some);
      BodyList list{sha256(as_bytes(text)), text.size(), some.size(), 0};
      for (const auto& body : some) list.bytes += body.size;
      stage(object_name(list.hash), as_bytes(text));
      lists.push_back(list);
      first = last;
    }
    return lists;
  }

  void send_staged() {
    Names check;
    Names send;
    for (const auto& [name, size] : chunks_) (is_there(name, size) ? check : send).push_back(name);
    const auto there = store_.hash(check, {});
    for (const auto& name : check) {
      const auto found = there.find(name);
      if (found == there.end() || object_name(found->second) != name) send.push_back(name);
    }
    put_and_check(scratch_->folder(), send);
  }

  void write_manifest(const BodyPlan& bodies, const BodyPlan& spare) {
    if (is_remote(target_)) check_nothing_vanished(bodies, spare);
    seal_manifest(manifest_, session_);
    const auto file = encode_manifest(manifest_);
    const auto name = snapshot_name(manifest_.number, sha256(file));
    require(is_snapshot_name(name), "a snapshot got a name that restore would not know");
    parse_manifest(file, name);
    scratch_->put(name, file);
    put_and_check(scratch_->folder(), {name});
    manifest_name_ = name;
    manifest_hash_ = sha256(file);
    result_.time_ms = manifest_.time_ms;
    listing_[name] = file.size();
  }

  /// A remote has no lock: somebody else may have pruned there.
  void check_nothing_vanished(const BodyPlan& bodies, const BodyPlan& spare) {
    listing_ = store_.list();
    for (const auto& name : objects_of(manifest_, {bodies.bodies, spare.bodies})) {
      if (!listing_.contains(name)) throw Error(Errc::kNotFound, name + " vanished while the replica was made");
    }
  }

  // Afterwards

  void prune() {
    const auto [readable, others] = readable_snapshots();
    if (!others.empty()) {
      result_.warnings.push_back("a snapshot there cannot be read, so nothing was deleted: " + others.front());
      return;
    }
    if (const auto stranger = find_stranger(readable)) {
      result_.warnings.push_back(*stranger + " is not signed by anybody in this vault, so nothing was deleted");
      return;
    }
    const auto keep = std::max<std::uint64_t>(1, *request_.keep);
    if (readable.size() <= keep) return;
    const auto kept_from = readable.end() - static_cast<std::ptrdiff_t>(keep);
    const std::vector<StoredSnapshot> old(readable.begin(), kept_from);
    if (has_lost_something(old)) return;
    const auto needed = objects_of_all({kept_from, readable.end()});
    Names old_names;
    for (const auto& snapshot : old) old_names.push_back(snapshot.name);
    Names unneeded;
    for (const auto& [name, size] : store_.list()) {
      if (!name.starts_with(kSnapshotFolder) && !needed.contains(name)) unneeded.push_back(name);
    }
    store_.remove(old_names);  // first: then none of those that are left needs what goes
    store_.remove(unneeded);
    result_.deleted_snapshots = old_names.size();
    result_.deleted_objects = unneeded.size();
  }

  /// One that neither a user of this vault signed, nor a later genuine one names as the one before it. (What was signed
  /// before the catalogue's key changed cannot be told otherwise.)
  std::optional<std::string> find_stranger(const std::vector<StoredSnapshot>& readable) {
    std::set<std::string> genuine = {to_hex(manifest_hash_)};
    for (auto snapshot = readable.rbegin(); snapshot != readable.rend(); ++snapshot) {
      if (!genuine.contains(to_hex(snapshot->hash)) && !is_trusted(*snapshot)) return snapshot->name;
      genuine.insert(snapshot->manifest.previous);
    }
    return std::nullopt;
  }

  /// Whoever can write to the vault's disk could have the copies deleted by spoiling the vault and waiting.
  bool has_lost_something(const std::vector<StoredSnapshot>& old) {
    std::vector<ReplicaSnapshot> before;
    for (const auto& snapshot : old) {
      std::vector<std::string> harmed;
      before.push_back(
          {snapshot.manifest, read_bodies(store_, listing_, snapshot.manifest, scratch_->folder() / "old", &harmed)});
    }
    const auto losses = losses_since(session_, {manifest_, made_}, before);
    if (losses.empty()) return false;
    for (const auto& loss : losses) result_.warnings.push_back(loss);
    result_.warnings.push_back(
        "older snapshots may hold what is lost here, so nothing was deleted: casevault verify; if all is as it should "
        "be, delete the older files in snapshots/ there by hand, then repeat");
    result_.kept_all = true;
    return true;
  }

  std::set<std::string> objects_of_all(const std::vector<StoredSnapshot>& snapshots) {
    const auto listing = store_.list();
    std::set<std::string> names;
    for (const auto& snapshot : snapshots) {
      names.merge(
          objects_of(snapshot.manifest, read_bodies(store_, listing, snapshot.manifest, scratch_->folder() / "kept")));
    }
    return names;
  }

  void finish() {
    if (request_.dry_run) return log("done");
    remember_snapshot(session_.environment(), manifest_);
    if (!session_.catalog().is_current()) {
      result_.warnings.push_back(
          "the vault's keys were changed meanwhile: the snapshot is whole, and not in the audit log");
      return;
    }
    log("done");
    put_replica(session_.catalog(), {target_id(), result_.label, result_.number, manifest_hash_, result_.time_ms});
  }

  Session& session_;
  ReplicaStore& store_;
  const std::string& target_;
  const ReplicateRequest& request_;
  const Progress& progress_;
  Replicated result_;
  ReplicaStore::Sizes listing_;
  std::optional<Scratch> scratch_;
  std::optional<StoredSnapshot> previous_;
  std::uint64_t newest_number_ = 0;
  SnapshotBodies known_;           // of a snapshot that is trusted
  std::set<std::string> trusted_;  // its objects
  std::set<std::string> bad_;      // there, but not whole
  SnapshotBodies made_;            // of the snapshot that was made
  Manifest manifest_;
  ReplicaStore::Sizes chunks_;  // to be sent or checked
  std::string manifest_name_;
  Sha256Digest manifest_hash_{};
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
};

bool is_inside(const Path& outer, const Path& inner) {
  const Path above = std::filesystem::weakly_canonical(outer);
  const Path below = std::filesystem::weakly_canonical(inner);
  return std::ranges::mismatch(above, below).in1 == above.end();
}

/// Other things than a replica. What systems put on sticks does not count.
bool holds_other_things(const Path& folder) {
  for (const auto& name : list_directory(folder / kSnapshotFolder)) {
    if (is_snapshot_name(std::string(kSnapshotFolder) + name)) return false;
  }
  constexpr std::string_view kOurs[] = {"bodies", "objects", "snapshots"};
  const auto is_ours = [&](const std::string& name) { return std::ranges::find(kOurs, name) != std::end(kOurs); };
  bool has_foreign_objects = false;
  for (const auto* part : {"bodies", "objects", "snapshots"}) {
    walk_files(folder, part, [&](const std::string& name, std::uint64_t) {
      has_foreign_objects = has_foreign_objects || !(is_replica_object(name) || is_replica_leftover(name));
    });
  }
  return has_foreign_objects || std::ranges::any_of(list_directory(folder), [&](const std::string& name) {
           return !is_ours(name) && !name.starts_with('.') && name != "lost+found" &&
                  name != "System Volume Information";
         });
}

std::optional<dev_t> device_of(const Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_dev;
}

Path parent_of(const std::string& target) {
  const auto path = std::filesystem::absolute(target).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).parent_path();
}

bool is_on_the_disk_of(const Path& vault, const std::string& target) {
  const auto there = device_of(std::filesystem::is_directory(target) ? Path(target) : parent_of(target));
  return there && there == device_of(vault);
}

}  // namespace

void check_replica_target(const Path& vault, const std::string& target) {
  if (is_remote(target)) return;
  refuse_likely_remote(target);
  const auto suggestion = "a folder of its own: " + (Path(target) / "casevault-replica").string();
  if (is_inside(vault, target)) {
    throw Error(Errc::kUsage, "the replica is in the vault", "it belongs on another disk, or to a provider");
  }
  if (is_inside(target, vault)) throw Error(Errc::kUsage, "the vault itself lies in " + target, suggestion);
  const auto status = std::filesystem::status(target);
  if (!std::filesystem::exists(status)) {
    if (std::filesystem::is_directory(parent_of(target))) return;
    throw Error(Errc::kUsage, "there is no folder " + parent_of(target).string(),
                "is the disk or stick plugged in and mounted? Else make it: mkdir -p " + parent_of(target).string());
  }
  if (!std::filesystem::is_directory(status))
    throw Error(Errc::kUsage, target + " is a file, and a replica is a folder", "name another place");
  if (std::filesystem::exists(Path(target) / "vault.json"))
    throw Error(Errc::kUsage, "there is a vault at the place for the replica", "choose another folder");
  if (holds_other_things(target))
    throw Error(Errc::kUsage, "there are other things than a replica in " + target, suggestion);
}

namespace {

void refuse_bad_target(const Session& session, const std::string& target) {
  if (is_absent_partly(session.place())) {
    throw Error(Errc::kUsage, "this vault was restored in part, and a replica of it would be one in part",
                "fetch the rest first: casevault restore SOURCE");
  }
  check_replica_target(session.place(), target);
}

}  // namespace

Replicated replicate(Session& session, ReplicaStore& store, const std::string& target, const ReplicateRequest& request,
                     const Progress& progress) {
  refuse_bad_target(session, target);
  auto done = Replication(session, store, target, request, progress).run();
  if (!is_remote(target) && is_on_the_disk_of(session.place(), target)) {
    done.warnings.push_back(
        "the replica is on the same disk as the vault: a raid, a theft or a fire takes both; make "
        "another one elsewhere");
  }
  return done;
}

std::optional<LastReplica> last_replica(Session& session) {
  const auto replicas = read_replicas(session.catalog());
  if (replicas.empty()) return std::nullopt;
  return LastReplica{replicas.front().label, replicas.front().number, replicas.front().time_ms};
}

std::size_t replica_places(Session& session) { return read_replicas(session.catalog()).size(); }

std::string change_mark(const Path& vault) {
  std::string mark;
  const auto add = [&](const Path& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return;
    mark += path.filename().string() + " " + std::to_string(status.st_ino) + " " + std::to_string(status.st_size) +
            " " + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + "\n";
  };
  for (const char* file : {"vault.json", "slots"}) add(vault / file);
  for (const char* folder : {"cases", "handover"}) {
    for (const auto& name : list_directory(vault / folder)) {
      if (!name.ends_with("-journal")) add(vault / folder / name);
    }
  }
  return to_hex(sha256(as_bytes(mark)));
}

}  // namespace casevault
