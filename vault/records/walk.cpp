#include "vault/records/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <numeric>
#include <optional>
#include <system_error>

#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxDepth = 200;  // folders within folders: each holds a descriptor while it is read
constexpr int kReadFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

FileIdentity identity_of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

std::optional<struct stat> status_of(const Path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status;
}

const char* kind_of(mode_t mode) {
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// Sorted; nullopt when it cannot be read, with errno.
std::optional<std::vector<std::string>> names_in(int folder) {
  const int copy = ::openat(folder, ".", kReadFlags | O_DIRECTORY);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
  if (!stream) return std::nullopt;
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) return std::nullopt;
  std::ranges::sort(names);
  return names;
}

// What a path that was named is called: "x" for "a/x", "a/x/" and, standing in it, for ".".
std::string base_name(const Path& path) {
  std::string name = path.has_filename() ? path.filename().native() : path.parent_path().filename().native();
  if (!name.empty() && name != "." && name != "..") return name;
  std::error_code ignored;
  return std::filesystem::canonical(path, ignored).filename().native();
}

std::string join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

Descriptor opened_with(int descriptor, bool regular) {
  Descriptor result(descriptor);
  if (!result.is_open()) return result;
  struct stat status {};
  const bool ok = ::fstat(descriptor, &status) == 0 && (!regular || S_ISREG(status.st_mode));
  if (!ok) errno = 0;
  return ok ? std::move(result) : Descriptor();
}

Descriptor open_root(const Path& path, const FileIdentity& identity, bool regular) {
  const int flags = regular ? O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC : O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  Descriptor opened = opened_with(::open(path.c_str(), flags), regular);
  struct stat status {};
  if (!opened.is_open() || (::fstat(opened.get(), &status) == 0 && identity_of(status) == identity)) return opened;
  errno = 0;
  return Descriptor();
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(value_, other.value_);
  return *this;
}

Descriptor::~Descriptor() {
  const int error = errno;  // of what failed before, for whoever asks
  if (value_ >= 0) ::close(value_);
  errno = error;
}

std::string system_reason(int system_error) {
  if (system_error == 0) return "something else stands there now";
  std::string text = std::generic_category().message(system_error);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] + ('a' - 'A'));
  return text;
}

std::string to_utf8_name(std::string_view bytes) {
  std::string name;
  while (!bytes.empty()) {
    std::size_t length = 1;
    while (length <= 4 && !is_utf8(bytes.substr(0, length))) ++length;
    if (length <= 4) {
      length = std::min(length, bytes.size());
      name += bytes.substr(0, length);
    } else {
      length = 1;
      name += "\\x" + to_hex(as_bytes(bytes.substr(0, 1)));
    }
    bytes.remove_prefix(length);
  }
  return name;
}

/// Fills a list.
class Walker {
 public:
  Walker(SourceList& list, const Path& vault) : list_(list) {
    std::error_code ignored;
    vault_path_ = std::filesystem::canonical(vault, ignored);
    if (const auto status = status_of(vault)) vault_ = identity_of(*status);
  }
  void add_named(const Path& path, const struct stat& status);

 private:
  void add_folder(int folder, const FileIdentity& identity, const std::string& relative, const std::string& name);
  void add_entry(int folder, const std::string& entry, const std::string& relative, const std::string& name);
  void add_file(const std::string& relative, const std::string& name, std::uint64_t size);
  void enter(int folder, const std::string& entry, const struct stat& status, const std::string& relative,
             const std::string& name);
  bool is_in_vault(const Path& path) const;
  void skip(const std::string& name, const std::string& why) { list_.skipped_.push_back({to_utf8_name(name), why}); }

  SourceList& list_;
  Path vault_path_;
  FileIdentity vault_;
  std::vector<FileIdentity> way_;  // the folders that are being read
};

bool Walker::is_in_vault(const Path& path) const {
  std::error_code error;
  const Path full = std::filesystem::canonical(path, error);
  const auto end = std::ranges::mismatch(vault_path_, full).in1;
  return !error && !vault_path_.empty() && end == vault_path_.end();
}

void Walker::add_named(const Path& path, const struct stat& status) {
  if (is_in_vault(path)) return skip(path.native(), "it is the vault itself, or in it");
  list_.roots_.push_back({path, identity_of(status)});
  if (S_ISREG(status.st_mode)) return add_file("", base_name(path), static_cast<std::uint64_t>(status.st_size));
  if (!S_ISDIR(status.st_mode)) return skip(path.native(), std::string("it is ") + kind_of(status.st_mode));
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) return skip(path.native(), system_reason(errno));
  add_folder(folder.get(), identity_of(status), "", base_name(path));
}

void Walker::add_folder(int folder, const FileIdentity& identity, const std::string& relative,
                        const std::string& name) {
  if (identity == vault_) return skip(name, "it is the vault itself");
  if (std::ranges::find(way_, identity) != way_.end()) return skip(name, "it is a folder that holds itself");
  if (way_.size() == kMaxDepth) return skip(name, "folders are nested too deep there (200 at most)");
  const auto names = names_in(folder);
  if (!names) return skip(name, system_reason(errno));
  way_.push_back(identity);
  for (const auto& entry : *names) add_entry(folder, entry, join(relative, entry), join(name, entry));
  way_.pop_back();
}

void Walker::add_entry(int folder, const std::string& entry, const std::string& relative, const std::string& name) {
  struct stat status {};
  if (::fstatat(folder, entry.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return skip(name, system_reason(errno));
  if (S_ISREG(status.st_mode)) return add_file(relative, name, static_cast<std::uint64_t>(status.st_size));
  if (S_ISDIR(status.st_mode)) return enter(folder, entry, status, relative, name);
  skip(name, std::string("it is ") + kind_of(status.st_mode));
}

void Walker::enter(int folder, const std::string& entry, const struct stat& status, const std::string& relative,
                   const std::string& name) {
  const Descriptor inner(::openat(folder, entry.c_str(), kReadFlags | O_DIRECTORY));
  if (!inner.is_open()) return skip(name, system_reason(errno));
  add_folder(inner.get(), identity_of(status), relative, name);
}

void Walker::add_file(const std::string& relative, const std::string& name, std::uint64_t size) {
  SourceFile file{.root = list_.roots_.size() - 1, .relative = relative, .name = name, .size = size};
  if (!is_utf8(name)) {
    file.name = to_utf8_name(name);
    file.name_bytes = name;
  }
  list_.files_.push_back(std::move(file));
}

SourceList SourceList::walk(const std::vector<Path>& paths, const Path& vault) {
  SourceList list;
  std::vector<std::optional<struct stat>> found;
  std::string missing;
  for (const auto& path : paths) {
    errno = 0;
    found.push_back(status_of(path));
    if (found.back()) continue;
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
      missing += (missing.empty() ? "" : ", ") + ("'" + escape_for_display(path.native()) + "'");
    } else {
      list.skipped_.push_back({to_utf8_name(path.native()), system_reason(errno)});
    }
  }
  if (!missing.empty()) throw Error(Errc::kUsage, "no such file or folder: " + missing);
  Walker walker(list, vault);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (found[i]) walker.add_named(paths[i], *found[i]);
  }
  return list;
}

std::uint64_t SourceList::total_bytes() const {
  return std::accumulate(files_.begin(), files_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const SourceFile& file) { return sum + file.size; });
}

Descriptor SourceOpener::open(const SourceFile& file) {
  if (file.relative.empty())
    return open_root(list_.roots_.at(file.root).path, list_.roots_.at(file.root).identity, true);
  const std::size_t slash = file.relative.rfind('/');
  enter(file.root, slash == std::string::npos ? "" : file.relative.substr(0, slash));
  if (!folder_.is_open()) return Descriptor();
  const std::string name = file.relative.substr(slash == std::string::npos ? 0 : slash + 1);
  return opened_with(::openat(folder_.get(), name.c_str(), kReadFlags), true);
}

// One component at a time, so that no link on the way is followed.
void SourceOpener::enter(std::size_t root, const std::string& relative) {
  if (folder_.is_open() && root_ == root && relative_ == relative) return;
  root_ = root;
  relative_ = relative;
  folder_ = open_root(list_.roots_.at(root).path, list_.roots_.at(root).identity, false);
  for (std::string_view rest = relative; folder_.is_open() && !rest.empty();) {
    const std::string part(rest.substr(0, rest.find('/')));
    folder_ = Descriptor(::openat(folder_.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
}

}  // namespace casevault
