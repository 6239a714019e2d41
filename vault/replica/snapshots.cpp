#include "vault/replica/snapshots.h"

#include <algorithm>
#include <charconv>

#include "crypto/error.h"
#include "crypto/random.h"
#include "vault/replica/layout.h"

namespace casevault {
namespace {

constexpr std::string_view kScratchPrefix = ".replica-";
constexpr std::string_view kScratchSuffix = ".partial";

void remove_tree(const Path& path) noexcept {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::vector<ReplicaBody> read_list(const Path& scratch, const BodyList& list) {
  const auto name = object_name(list.hash);
  const auto file = read_small_file(scratch / name, kMaxBodyListSize);
  if (!file) throw Error(Errc::kDamaged, name + " is missing");
  if (sha256(*file) != list.hash) throw Error(Errc::kDamaged, name + " was changed");
  return parse_body_list(as_text(*file), name);
}

std::vector<ReplicaBody> read_lists(const Path& scratch, const std::vector<BodyList>& lists,
                                    std::vector<std::string>* harmed) {
  std::vector<ReplicaBody> bodies;
  for (const auto& list : lists) {
    try {
      const auto listed = read_list(scratch, list);
      if (!bodies.empty() && !listed.empty() && bodies.back().id >= listed.front().id) {
        throw Error(Errc::kDamaged, object_name(list.hash) + " is damaged: bodies out of order");
      }
      bodies.insert(bodies.end(), listed.begin(), listed.end());
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged || harmed == nullptr) throw;
      harmed->push_back(object_name(list.hash));
    }
  }
  return bodies;
}

}  // namespace

std::uint64_t number_in_name(std::string_view snapshot_name) {
  std::uint64_t number = 0;
  const auto digits = snapshot_name.substr(kSnapshotFolder.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::vector<std::string> snapshot_names(const ReplicaStore::Sizes& listing) {
  std::vector<std::string> names;
  for (const auto& [name, size] : listing) {
    if (is_snapshot_name(name)) names.push_back(name);
  }
  std::ranges::stable_sort(names, {}, number_in_name);
  return names;
}

StoredSnapshot read_snapshot(ReplicaStore& store, const std::string& name) {
  const auto file = store.read(name, kMaxSnapshotSize);
  if (!file) throw Error(Errc::kDamaged, name + " is missing");
  const auto hash = sha256(*file);
  if (snapshot_name(number_in_name(name), hash) != name) throw Error(Errc::kDamaged, name + " was changed");
  StoredSnapshot snapshot{name, number_in_name(name), parse_manifest(*file, name), hash};
  if (snapshot.manifest.number != snapshot.number) throw Error(Errc::kDamaged, name + " is not what its name says");
  return snapshot;
}

SnapshotBodies read_bodies(ReplicaStore& store, const ReplicaStore::Sizes& listing, const Manifest& manifest,
                           const Path& scratch, std::vector<std::string>* harmed) {
  std::set<std::string> names;
  for (const auto* lists : {&manifest.bodies, &manifest.spare_bodies}) {
    for (const auto& list : *lists) names.insert(object_name(list.hash));
  }
  std::erase_if(names, [&](const auto& name) { return !listing.contains(name); });
  const auto there = store.folder();
  if (there.empty()) store.fetch({names.begin(), names.end()}, scratch, {});
  const auto& lists = there.empty() ? scratch : there;
  return {read_lists(lists, manifest.bodies, harmed), read_lists(lists, manifest.spare_bodies, harmed)};
}

std::set<std::string> objects_of(const Manifest& manifest, const SnapshotBodies& bodies) {
  std::set<std::string> names;
  for (const auto& file : manifest.files) {
    for (const auto& chunk : file.chunks) names.insert(object_name(chunk));
  }
  for (const auto* lists : {&manifest.bodies, &manifest.spare_bodies}) {
    for (const auto& list : *lists) names.insert(object_name(list.hash));
  }
  for (const auto* some : {&bodies.bodies, &bodies.spare_bodies}) {
    for (const auto& body : *some) names.insert(body_object_name(to_hex(body.id)));
  }
  return names;
}

// Whoever makes one holds the lock, so others were left by what was cut off.
Scratch::Scratch(const Path& beside) {
  for (const auto& name : list_directory(beside)) {
    if (name.starts_with(kScratchPrefix) && name.ends_with(kScratchSuffix)) remove_tree(beside / name);
  }
  folder_ = beside / (std::string(kScratchPrefix) + to_hex(random_array<8>()) + std::string(kScratchSuffix));
  make_directory(folder_);
}

Scratch::~Scratch() { remove_tree(folder_); }

void Scratch::put(const std::string& name, ByteView content) const {
  const auto path = folder_ / name;
  if (std::filesystem::exists(path)) return;
  make_folders(path.parent_path());
  File::create_new(path).write_at(0, content);
}

}  // namespace casevault
