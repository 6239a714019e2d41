#include "vault/records/export_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "crypto/random.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kWorthStarting = 256 * 1024;  // bytes; smaller files are synced many at a time
constexpr std::size_t kMaxOpenFolders = 128;
constexpr std::size_t kManyFiles = 3;  // from here on one sync of the file system is fewer
constexpr int kFolderFlags = O_DIRECTORY | O_CLOEXEC;

// The seam writes by path; this one cannot be led elsewhere by a link.
Path path_by_descriptor(int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); }

std::string shown(const Path& path) { return "'" + escape_for_display(path.native()) + "'"; }

std::string folder_of(const std::string& relative) {
  const std::size_t slash = relative.rfind('/');
  return slash == std::string::npos ? "" : relative.substr(0, slash);
}

std::string name_of(const std::string& relative) { return relative.substr(relative.rfind('/') + 1); }

bool is_there(const Path& path, struct stat& status) {
  if (::lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw Error(error_code_of(errno), "cannot look at " + shown(path) + ": " + system_reason(errno));
}

}  // namespace

// Writes that fail name the folder by its descriptor; people are told its path.
template <typename Work>
auto ExportFolder::named(const Work& work) const {
  try {
    return work();
  } catch (const Error& error) {
    std::string what = error.what();
    for (const auto& [relative, folder] : folders_) {
      const std::string alias = path_by_descriptor(folder.get()).native();
      const std::size_t at = what.find(alias);
      const std::size_t end = at + alias.size();
      if (at == std::string::npos || (end < what.size() && what[end] >= '0' && what[end] <= '9')) continue;
      what.replace(at, alias.size(), escape_for_display((relative.empty() ? path_ : path_ / relative).native()));
      break;
    }
    throw Error(error.code(), what, error.hint());
  }
}

ExportFolder::ExportFolder(Path folder) : path_(std::move(folder)) {
  make_directory(path_);
  Descriptor opened(::open(path_.c_str(), O_RDONLY | kFolderFlags));
  if (!opened.is_open()) throw Error(error_code_of(errno), "cannot open " + shown(path_) + ": " + system_reason(errno));
  folders_.emplace("", std::move(opened));
}

std::optional<std::string> ExportFolder::find_conflict(const Path& folder, const std::vector<std::string>& paths) {
  std::set<std::string> folders;
  struct stat status {};
  for (const auto& path : paths) {
    if (is_there(folder / path, status)) return shown(folder / path) + " exists already";
    for (auto above = folder_of(path); !above.empty() && folders.insert(above).second; above = folder_of(above)) {
      if (is_there(folder / above, status) && !S_ISDIR(status.st_mode))
        return shown(folder / above) + " exists already and is not a folder";
    }
  }
  return std::nullopt;
}

// Parents come first, so that each is opened within the one above it.
int ExportFolder::enter(const std::string& relative) {
  if (const auto found = folders_.find(relative); found != folders_.end()) return found->second.get();
  const Path here = path_by_descriptor(enter(folder_of(relative)));
  const auto name = name_of(relative);
  named([&] { make_directory(here / name); });
  Descriptor opened(::open((here / name).c_str(), O_RDONLY | O_NOFOLLOW | kFolderFlags));
  if (!opened.is_open())
    throw Error(error_code_of(errno), "cannot open " + shown(path_ / relative) + ": " + system_reason(errno));
  return folders_.emplace(relative, std::move(opened)).first->second.get();
}

ExportFolder::Partial ExportFolder::create(const std::string& relative) {
  const Path folder = path_by_descriptor(enter(folder_of(relative)));
  return named([&] { return Partial(*this, folder, relative); });
}

ExportFolder::Partial::Partial(const ExportFolder& owner, Path folder, const std::string& relative)
    : owner_(&owner),
      folder_(std::move(folder)),
      name_(name_of(relative)),
      partial_(folder_ / ("." + to_hex(random_array<8>()) + ".partial")),
      file_(File::create_new(partial_)) {}

ExportFolder::Partial::Partial(Partial&& other) noexcept
    : owner_(other.owner_),
      folder_(std::move(other.folder_)),
      name_(std::move(other.name_)),
      partial_(std::move(other.partial_)),
      file_(std::move(other.file_)),
      pending_(std::exchange(other.pending_, false)) {}

ExportFolder::Partial::~Partial() {
  if (!pending_) return;
  try {
    remove_file(partial_);
  } catch (const Error&) {
    // What stays is not whole, and is called so.
  }
}

void ExportFolder::Partial::write(std::uint64_t offset, ByteView block) {
  owner_->named([&] { file_.write_at(offset, block); });
  if (block.size() >= kWorthStarting) file_.start_writeback(offset, block.size());
}

void ExportFolder::publish(std::vector<Partial>& files, const std::function<void(std::size_t)>& published) {
  named([&] {
    if (files.size() >= kManyFiles) sync_file_system(path_by_descriptor(folders_.at("").get()));
    std::set<Path> folders;
    for (auto& file : files) {
      files.size() >= kManyFiles ? file.file_.check_writeback() : file.file_.sync();
    }
    std::size_t done = 0;
    const auto settle = [&] {
      for (const auto& folder : folders) sync_directory(folder);
      for (std::size_t i = 0; i < done; ++i) published(i);
    };
    try {
      for (; done < files.size(); ++done) {
        publish_unsynced(files[done].partial_, files[done].folder_ / files[done].name_);
        files[done].pending_ = false;
        folders.insert(files[done].folder_);
      }
    } catch (const Error&) {
      settle();
      throw;
    }
    settle();
  });
  files.clear();
  if (folders_.size() > kMaxOpenFolders)
    std::erase_if(folders_, [](const auto& folder) { return !folder.first.empty(); });
}

void ExportFolder::write_file(const std::string& name, ByteView content) {
  named([&] { write_new_file(path_by_descriptor(folders_.at("").get()) / name, content); });
}

void refuse_inside_vault(const Path& vault, const Path& target, const std::string& what) {
  const Path inside = std::filesystem::weakly_canonical(vault);
  const Path resolved = std::filesystem::weakly_canonical(target);
  if (std::ranges::mismatch(inside, resolved).in1 == inside.end()) throw Error(Errc::kUsage, what + " is in the vault");
}

}  // namespace casevault
