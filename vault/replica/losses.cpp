#include "vault/replica/losses.h"

#include <algorithm>
#include <set>

#include "vault/access/case_access.h"
#include "vault/access/case_keys.h"
#include "vault/access/session_keys.h"
#include "vault/audit/log.h"
#include "vault/replica/layout.h"

namespace casevault {
namespace {

constexpr std::size_t kPageSize = 4096;  // of databases, bytes
constexpr std::size_t kMany = 10;        // large files

class Losses {
 public:
  Losses(Session& session, const ReplicaSnapshot& now) : session_(session), now_(now) {
    for (const auto& body : now.bodies.bodies) bodies_.insert(body_object_name(to_hex(body.id)));
  }

  std::vector<std::string> find(const std::vector<ReplicaSnapshot>& before) {
    compare_logs(before);
    look_at_slots();
    for (const auto& [number, entry] : session_.state().cases()) look_at(entry, before);
    for (const auto& snapshot : before) compare_bodies(snapshot);
    return std::move(losses_);
  }

 private:
  void compare_logs(const std::vector<ReplicaSnapshot>& before) {
    session_.log().refresh();
    std::set<std::uint64_t> sizes;
    for (const auto& snapshot : before) sizes.insert(snapshot.manifest.log.size);
    const auto roots = session_.log().roots_at(sizes);
    for (const auto& snapshot : before) {
      const auto& log = snapshot.manifest.log;
      const auto found = roots.find(log.size);
      if (log.size <= now_.manifest.log.size && found != roots.end() && found->second == log.root) continue;
      losses_.push_back("the audit log does not go on from the one in snapshot " +
                        std::to_string(snapshot.manifest.number) + ": this vault was set back, or it is another copy");
    }
  }

  void look_at(const CaseEntry& entry, const std::vector<ReplicaSnapshot>& before) {
    if (entry.epoch == 0) return;
    const auto name = "C-" + std::to_string(entry.number);
    const auto path = "cases/" + case_path({}, entry.id, entry.epoch).filename().string();
    const auto beginning = path.substr(0, path.find('.') + 1);  // of any epoch: it may have been re-keyed meanwhile
    const bool is_there = std::ranges::any_of(now_.manifest.files, [&](const ReplicaFile& file) {
      return file.name.starts_with(beginning) && file.name.ends_with(".db") && file.size > 0 &&
             file.size % kPageSize == 0;
    });
    if (!is_there) {
      losses_.push_back(name + " has lost its database");
    } else if (session_.state().grant_of(entry, session_.user_id()) != nullptr) {
      look_into(entry.number, name);
    } else {
      compare_with_head(entry, path, name, before);
    }
  }

  void look_at_slots() {
    for (const auto* user : session_.state().active_users()) {
      if (session_.keys().slots.hash(user->slot) != user->slot_hash)
        losses_.push_back("what the passphrase of " + user->keys.name + " opens was changed or lost");
    }
  }

  /// A case that the user may not read: its database changes only with its head in the catalogue.
  void compare_with_head(const CaseEntry& entry, const std::string& path, const std::string& name,
                         const std::vector<ReplicaSnapshot>& before) {
    const auto hash_in = [&](const ReplicaSnapshot& snapshot) {
      const auto found = std::ranges::find(snapshot.manifest.files, path, &ReplicaFile::name);
      return found == snapshot.manifest.files.end() ? std::nullopt : std::optional(found->hash);
    };
    const auto now = hash_in(now_);
    const bool was_changed = std::ranges::any_of(before, [&](const ReplicaSnapshot& snapshot) {
      const auto hash = hash_in(snapshot);
      return now && hash && *hash != *now && snapshot.manifest.log.size >= entry.head_log_size;
    });
    if (was_changed) losses_.push_back(name + " was changed though nobody added to it");
  }

  void look_into(std::int64_t number, const std::string& name) {
    try {
      const auto open = open_case(session_, number, Right::kRead, "replicate", name);
      const auto is_gone = [&](const std::string& body) {
        const auto path = body_object_name(body);
        return !bodies_.contains(path) && !std::filesystem::exists(session_.folder() / path);
      };
      const auto names = open.store.body_names();
      const auto gone = std::ranges::count_if(names, is_gone);
      if (gone > 0) losses_.push_back(name + " has lost large files: " + std::to_string(gone));
      if (!open.store.database().check_integrity().empty()) losses_.push_back(name + ": its database is damaged");
    } catch (const Error& error) {
      if (error.code() == Errc::kDamaged) losses_.push_back(name + ": " + error.what());
    }
  }

  /// For cases that the user may not read: files that go while no case is changed, or most of all.
  void compare_bodies(const ReplicaSnapshot& snapshot) {
    const auto& before = snapshot.bodies.bodies;
    const auto is_gone = [&](const ReplicaBody& body) { return !bodies_.contains(body_object_name(to_hex(body.id))); };
    const auto gone = static_cast<std::size_t>(std::ranges::count_if(before, is_gone));
    const bool is_most = gone > kMany && gone > before.size() / 2;
    if (gone == 0 || !(is_most || cases_of(snapshot) == cases_of(now_))) return;
    losses_.push_back("of the large files in snapshot " + std::to_string(snapshot.manifest.number) + ", " +
                      std::to_string(gone) + " of " + std::to_string(before.size()) + " are gone");
  }

  static std::map<std::string, Sha256Digest> cases_of(const ReplicaSnapshot& snapshot) {
    std::map<std::string, Sha256Digest> cases;
    for (const auto& file : snapshot.manifest.files) {
      if (file.name.starts_with("cases/")) cases[file.name] = file.hash;
    }
    return cases;
  }

  Session& session_;
  const ReplicaSnapshot& now_;
  std::set<std::string> bodies_;
  std::vector<std::string> losses_;
};

}  // namespace

std::vector<std::string> losses_since(Session& session, const ReplicaSnapshot& now,
                                      const std::vector<ReplicaSnapshot>& before) {
  const bool is_decoy = session.folder() != session.place();  // which knows nothing of the vault around it
  if (is_decoy) return {};
  return Losses(session, now).find(before);
}

}  // namespace casevault
