#include <algorithm>

#include "vault/records/content.h"
#include "vault/records/export_folder.h"
#include "vault/records/export_names.h"
#include "vault/records/objects.h"
#include "vault/records/reading.h"
#include "vault/records/selection.h"

namespace casevault {
namespace {

constexpr const char* kManifest = "manifest-sha256.txt";
constexpr std::size_t kMaxBatchFiles = 256;  // each holds a descriptor
constexpr std::uint64_t kMaxBatchBytes = 64u << 20;

/// A path below the folder for each of the versions, in order.
std::vector<std::string> assign_paths(const Selection& selection) {
  std::vector<ExportEntry> entries;
  for (const auto& item : selection.items()) {
    entries.push_back({case_label(item.open->number), item.version.details->name, to_string(item.version.record)});
  }
  return assign_export_paths(entries);
}

/// Writes what was planned.
class Export {
 public:
  Export(const Session& session, const Selection& selection, const std::vector<std::string>& paths, const Path& folder,
         const ExportObserver& observer)
      : session_(session), selection_(selection), paths_(paths), folder_(folder), observer_(observer) {}
  void run();
  std::size_t published() const { return published_; }

 private:
  void write(const Selection::Item& item, const std::string& path);
  void publish();
  void progress() const {
    if (observer_.progress) observer_.progress(done_bytes_, total_bytes_);
  }

  const Session& session_;
  const Selection& selection_;
  const std::vector<std::string>& paths_;
  ExportFolder folder_;
  const ExportObserver& observer_;
  ContentOpener contents_{session_};
  HashingThread hashing_;
  std::vector<ExportFolder::Partial> batch_;
  std::uint64_t batch_bytes_ = 0;
  std::uint64_t total_bytes_ = selection_.total_bytes();
  std::uint64_t done_bytes_ = 0;
  std::size_t published_ = 0;
  std::string manifest_;
};

void Export::run() {
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    stop_if_interrupted(session_.environment());
    write(selection_.items()[i], paths_[i]);
    if (batch_.size() >= kMaxBatchFiles || batch_bytes_ >= kMaxBatchBytes) publish();
  }
  publish();
  folder_.write_file(kManifest, as_bytes(manifest_));
}

void Export::write(const Selection::Item& item, const std::string& path) {
  auto content = contents_.open(*item.open, item.version);
  auto partial = folder_.create(path);
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
    const auto& item = selection_.items()[first + index];
    const auto& path = paths_[first + index];
    const auto& details = *item.version.details;
    ++published_;
    manifest_ += to_hex(details.sha256) + "  " + path + "\n";
    const bool is_renamed = path != case_label(item.open->number) + "/" + details.name;
    if (observer_.exported) {
      observer_.exported(
          {record_label(item.open->number, item.version.record), path, is_renamed ? details.name : "", details.size});
    }
  });
  batch_bytes_ = 0;
}

void refuse_conflicts(std::vector<std::string> paths, const Path& folder) {
  paths.emplace_back(kManifest);
  if (const auto conflict = ExportFolder::find_conflict(folder, paths)) {
    throw Error(Errc::kUsage, *conflict + "; nothing was exported", "export into another folder");
  }
}

}  // namespace

std::size_t export_records(Session& session, const std::vector<ObjectName>& objects, const Path& folder,
                           const ExportObserver& observer) {
  const Selection selection(session, objects, "export");
  session.record("export", selection.objects(), "begun");
  const auto paths = assign_paths(selection);
  refuse_conflicts(paths, folder);
  refuse_inside_vault(session.folder(), folder, "the folder to export to");
  if (paths.empty()) return 0;
  Export work(session, selection, paths, folder, observer);
  try {
    work.run();
  } catch (const Error& error) {
    if (work.published() == 0) throw;
    throw Error(
        error.code(),
        std::string(error.what()) + "; exported before that, without a manifest: " + count_of_files(work.published()),
        error.hint());
  }
  session.record("export", selection.objects());
  return work.published();
}

}  // namespace casevault
