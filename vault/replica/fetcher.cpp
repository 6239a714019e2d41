#include "vault/replica/fetcher.h"

#include <algorithm>

#include "crypto/error.h"
#include "vault/replica/layout.h"

namespace casevault {
namespace {

constexpr std::uint64_t kBatchBytes = 1u << 30;  // fetched at once, then checked
constexpr std::size_t kBatchNames = 20'000;

std::uint64_t size_of_chunk(const ReplicaFile& file, std::size_t index) {
  return std::min(file.size - index * kReplicaChunkSize, kReplicaChunkSize);
}

}  // namespace

void remove_tree(const Path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) throw Error(error_code_of(error.value()), "cannot remove " + path.string());
}

void Fetcher::bad(const std::string& what_of_the_vault, const std::string& object, const std::string& harm) {
  const auto meaning = object == what_of_the_vault ? harm : object + " " + harm;
  findings_.push_back({Finding::Weight::kBad, what_of_the_vault, meaning});
  harmed_.insert(object);
}

void Fetcher::advance(std::uint64_t bytes) {
  done_ += bytes;
  if (progress_) progress_(std::min(done_, total_), total_);
}

std::string Fetcher::harm_of(const std::string& name, std::uint64_t size) const {
  const auto found = listing_.find(name);
  if (found == listing_.end()) return "is missing from the replica";
  if (found->second == size) return {};
  return "has " + std::to_string(found->second) + " bytes in the replica instead of " + std::to_string(size);
}

void Fetcher::files(const Manifest& manifest, const Path& folder) {
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

void Fetcher::put_together(const std::vector<const ReplicaFile*>& files, const Path& folder) {
  std::set<std::string> names;
  for (const auto* file : files) {
    for (std::size_t i = 0; i < file->chunks.size(); ++i) {
      const auto name = object_name(file->chunks[i]);
      if (harm_of(name, size_of_chunk(*file, i)).empty()) names.insert(name);
    }
  }
  const auto scratch = folder / kFetchScratch;
  make_folders(scratch);
  store_.fetch({names.begin(), names.end()}, scratch, {});
  for (const auto* file : files) {
    if (put_together(*file, scratch, folder / file->name)) continue;
    remove_file(folder / file->name);
    lost_.push_back(file->name);
  }
  remove_tree(scratch);
}

/// False when it is not whole; why was said.
bool Fetcher::put_together(const ReplicaFile& file, const Path& scratch, const Path& path) {
  make_folders(path.parent_path());
  auto target = File::create_new(path);
  Sha256 whole;
  std::uint64_t at = 0;
  bool is_whole = true;
  for (std::size_t i = 0; i < file.chunks.size(); ++i) {
    const auto name = object_name(file.chunks[i]);
    const auto content = read_small_file(scratch / name, kReplicaChunkSize);
    auto harm = harm_of(name, size_of_chunk(file, i));
    if (harm.empty() && !content) harm = "could not be read from the replica";
    if (harm.empty() && sha256(*content) != file.chunks[i]) harm = "was changed in the replica";
    if (!harm.empty()) {
      bad(file.name, name, harm);
      is_whole = false;
      continue;
    }
    target.write_at(at, *content);
    whole.update(*content);
    at += content->size();
    advance(content->size());
  }
  if (is_whole && (at != file.size || whole.finish() != file.hash)) {
    bad(file.name, file.name, "is not what the snapshot says");
    is_whole = false;
  }
  return is_whole;
}

void Fetcher::bodies(const std::vector<ReplicaBody>& bodies, const Path& folder) {
  std::vector<const ReplicaBody*> batch;
  std::uint64_t bytes = 0;
  for (const auto& body : bodies) {
    if (is_whole(body, folder)) {
      advance(body.size);
      continue;
    }
    const auto name = body_object_name(to_hex(body.id));
    if (const auto harm = harm_of(name, body.size); !harm.empty()) {
      bad(name, name, harm);
      continue;
    }
    batch.push_back(&body);
    bytes += body.size;
    if (bytes < kBatchBytes && batch.size() < kBatchNames) continue;
    fetch_and_check(batch, folder);
    batch.clear();
    bytes = 0;
  }
  fetch_and_check(batch, folder);
}

bool Fetcher::is_whole(const ReplicaBody& body, const Path& folder) const {
  const auto path = folder / body_object_name(to_hex(body.id));
  const auto file = File::open_for_reading(path);
  if (!file || file->size() != body.size) return false;
  return !body.is_hash_known || hash_file(path, environment_, {}) == body.hash;
}

void Fetcher::fetch_and_check(const std::vector<const ReplicaBody*>& bodies, const Path& folder) {
  ReplicaStore::Names names;
  for (const auto* body : bodies) names.push_back(body_object_name(to_hex(body->id)));
  store_.fetch(names, folder, [this](std::uint64_t bytes) { advance(bytes); });
  for (const auto* body : bodies) {
    const auto name = body_object_name(to_hex(body->id));
    if (is_whole(*body, folder)) continue;
    bad(name, name, remove_file(folder / name) ? "was changed in the replica" : "could not be read from the replica");
  }
}

}  // namespace casevault
