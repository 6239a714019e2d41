#include <algorithm>
#include <map>
#include <set>

#include "vault/records/content.h"
#include "vault/records/export_folder.h"
#include "vault/records/export_names.h"
#include "vault/records/objects.h"
#include "vault/records/reading.h"

namespace casevault {
namespace {

constexpr const char* kManifest = "manifest-sha256.txt";
constexpr std::size_t kMaxBatchFiles = 256;  // each holds a descriptor
constexpr std::uint64_t kMaxBatchBytes = 64u << 20;

struct Planned {
  const OpenCase* open = nullptr;
  Version version;
  std::string path;  // below the folder
};

/// Which versions go where.
class Plan {
 public:
  Plan(Session& session, const std::vector<ObjectName>& objects);
  const std::vector<Planned>& files() const { return files_; }
  /// For the audit log.
  std::string objects() const;
  std::uint64_t total_bytes() const;

 private:
  struct Wanted {
    bool all = false;
    std::set<RecordId> records;
  };
  void add_case(Session& session, std::int64_t number, const Wanted& wanted);
  void assign_paths();

  std::map<std::int64_t, OpenCase> cases_;
  std::vector<Planned> files_;
};

Plan::Plan(Session& session, const std::vector<ObjectName>& objects) {
  std::map<std::int64_t, Wanted> wanted;
  for (const auto& object : objects) {
    auto& entry = wanted[object.case_number];
    object.record ? void(entry.records.insert(*object.record)) : void(entry.all = true);
  }
  for (const auto& [number, entry] : wanted) add_case(session, number, entry);
  assign_paths();
}

void Plan::add_case(Session& session, std::int64_t number, const Wanted& wanted) {
  const auto object =
      wanted.all ? case_label(number) : object_ranges(number, {wanted.records.begin(), wanted.records.end()});
  const auto& open = cases_.emplace(number, open_case(session, number, Right::kRead, "export", object)).first->second;
  std::set<RecordId> missing = wanted.records;
  for (const auto& record : in_case(number, [&] { return open.store.records(); })) {
    const bool named = missing.erase(record.id) > 0;
    if (!named && (!wanted.all || record.withdrawal)) continue;
    const auto& version = find_version(open, record, std::nullopt);
    check_version(session, open, version);
    files_.push_back({&open, version, ""});
  }
  if (!missing.empty()) find_record(open, *missing.begin());  // says that there is none
}

void Plan::assign_paths() {
  std::vector<ExportEntry> entries;
  for (const auto& file : files_) {
    entries.push_back({case_label(file.open->number), file.version.details->name, to_string(file.version.record)});
  }
  const auto paths = assign_export_paths(entries);
  for (std::size_t i = 0; i < files_.size(); ++i) files_[i].path = paths[i];
}

std::string Plan::objects() const {
  std::string text;
  for (const auto& [number, open] : cases_) {
    std::vector<RecordId> ids;
    for (const auto& file : files_) {
      if (file.open == &open) ids.push_back(file.version.record);
    }
    text += (text.empty() ? "" : ", ") + object_ranges(number, ids);
  }
  return text;
}

std::uint64_t Plan::total_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& file : files_) sum += file.version.details->size;
  return sum;
}

/// Writes what was planned.
class Export {
 public:
  Export(const Session& session, const Plan& plan, const Path& folder, const ExportObserver& observer)
      : session_(session), plan_(plan), folder_(folder), observer_(observer) {}
  void run();
  std::size_t published() const { return published_; }

 private:
  void write(const Planned& file);
  void publish();
  void progress() const {
    if (observer_.progress) observer_.progress(done_bytes_, total_bytes_);
  }

  const Session& session_;
  const Plan& plan_;
  ExportFolder folder_;
  const ExportObserver& observer_;
  ContentOpener contents_{session_};
  HashingThread hashing_;
  std::vector<ExportFolder::Partial> batch_;
  std::uint64_t batch_bytes_ = 0;
  std::uint64_t total_bytes_ = plan_.total_bytes();
  std::uint64_t done_bytes_ = 0;
  std::size_t published_ = 0;
  std::string manifest_;
};

void Export::run() {
  for (const auto& file : plan_.files()) {
    stop_if_interrupted(session_.environment());
    write(file);
    if (batch_.size() >= kMaxBatchFiles || batch_bytes_ >= kMaxBatchBytes) publish();
  }
  publish();
  folder_.write_file(kManifest, as_bytes(manifest_));
}

void Export::write(const Planned& file) {
  auto content = contents_.open(*file.open, file.version);
  auto partial = folder_.create(file.path);
  content.read_all(hashing_, [&](std::uint64_t offset, ByteView block) {
    partial.write(offset, block);
    done_bytes_ += block.size();
    progress();
  });
  batch_bytes_ += content.size();
  batch_.push_back(std::move(partial));
}

void Export::publish() {
  const std::size_t first = published_;
  folder_.publish(batch_, [&](std::size_t index) {
    const auto& file = plan_.files()[first + index];
    const auto& details = *file.version.details;
    ++published_;
    manifest_ += to_hex(details.sha256) + "  " + file.path + "\n";
    const bool is_renamed = file.path != case_label(file.open->number) + "/" + details.name;
    if (observer_.exported) {
      observer_.exported({record_label(file.open->number, file.version.record), file.path,
                          is_renamed ? details.name : "", details.size});
    }
  });
  batch_bytes_ = 0;
}

void refuse_conflicts(const Plan& plan, const Path& folder) {
  std::vector<std::string> paths{kManifest};
  for (const auto& file : plan.files()) paths.push_back(file.path);
  if (const auto conflict = ExportFolder::find_conflict(folder, paths)) {
    throw Error(Errc::kUsage, *conflict + "; nothing was exported", "export into another folder");
  }
}

// Plaintext does not belong there.
void refuse_vault(const Path& vault, const Path& folder) {
  const Path inside = std::filesystem::weakly_canonical(vault);
  const Path target = std::filesystem::weakly_canonical(folder);
  if (std::ranges::mismatch(inside, target).in1 == inside.end())
    throw Error(Errc::kUsage, "the folder to export to is in the vault");
}

}  // namespace

std::size_t export_records(Session& session, const std::vector<ObjectName>& objects, const Path& folder,
                           const ExportObserver& observer) {
  const Plan plan(session, objects);
  session.record("export", plan.objects(), "begun");
  refuse_conflicts(plan, folder);
  refuse_vault(session.folder(), folder);
  if (plan.files().empty()) return 0;
  Export work(session, plan, folder, observer);
  try {
    work.run();
  } catch (const Error& error) {
    if (work.published() == 0) throw;
    throw Error(
        error.code(),
        std::string(error.what()) + "; exported before that, without a manifest: " + count_of_files(work.published()),
        error.hint());
  }
  session.record("export", plan.objects());
  return work.published();
}

}  // namespace casevault
