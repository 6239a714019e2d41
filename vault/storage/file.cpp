#include "vault/storage/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <memory>
#include <system_error>
#include <utility>

#include "crypto/random.h"
#include "vault/storage/folder.h"
#include "vault/text.h"

namespace casevault {
namespace {

std::string shown(const Path& path) { return "'" + escape_for_display(path.native()) + "'"; }

std::string reason(int system_error) {
  std::string text = std::generic_category().message(system_error);
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a') text[0] = static_cast<char>(text[0] + 32);
  return text;
}

[[noreturn]] void fail(const char* action, const Path& path, int system_error = errno) {
  throw Error(error_code_of(system_error),
              "cannot " + std::string(action) + " " + shown(path) + ": " + reason(system_error));
}

[[noreturn]] void fail_taken(const Path& path) { throw Error(Errc::kUsage, shown(path) + " exists already"); }

// Calls again while a signal interrupts. Not for close, which has closed by then.
template <typename Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

Path folder_of(const Path& path) {
  // "a/b/" is the entry b of the folder a.
  const Path entry = path.has_filename() ? path : path.parent_path();
  return entry.has_parent_path() ? entry.parent_path() : Path(".");
}

/// A name below an open folder, and the same as a path, for messages.
struct Place {
  int folder;
  const char* name;
  const Path& path;
};
Place place_of(const Path& path) { return {AT_FDCWD, path.c_str(), path}; }

// -1 when there is none. O_NONBLOCK so that a pipe put in a file's place cannot hold us up; regular files ignore it.
int open_existing(const Place& place, int flags) {
  const auto& path = place.path;
  const int descriptor =
      retry([&] { return ::openat(place.folder, place.name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK); });
  if (descriptor >= 0) return descriptor;
  if (errno == ENOENT || errno == ENOTDIR) return -1;
  if (errno == ELOOP || errno == EISDIR || errno == ENXIO)
    throw Error(Errc::kUsage, shown(path) + " is not a regular file");
  fail("open", path);
}

struct stat status_of(int descriptor, const Path& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail("look at", path);
  return status;
}

int create_file(const Place& place) {
  const int descriptor = retry([&] {
    return ::openat(place.folder, place.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
  });
  if (descriptor >= 0) return descriptor;
  if (errno == EEXIST) fail_taken(place.path);
  fail("create", place.path);
}

std::size_t read_from(int descriptor, const Path& path, std::uint64_t offset, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const auto count = retry(
        [&] { return ::pread(descriptor, out.data() + done, out.size() - done, static_cast<off_t>(offset + done)); });
    if (count < 0) fail("read", path);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

void write_to(int descriptor, const Path& path, std::uint64_t offset, ByteView data) {
  while (!data.empty()) {
    const auto count =
        retry([&] { return ::pwrite(descriptor, data.data(), data.size(), static_cast<off_t>(offset)); });
    if (count < 0) fail("write", path);
    if (count == 0) fail("write", path, EIO);
    offset += static_cast<std::uint64_t>(count);
    data = data.subspan(static_cast<std::size_t>(count));
  }
}

void set_size(int descriptor, const Path& path, std::uint64_t size) {
  if (retry([&] { return ::ftruncate(descriptor, static_cast<off_t>(size)); }) != 0) fail("change the size of", path);
}

void rename_over(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail("rename to", to);
}

// renameat2 where the file system has it, else a second name and the removal of the first: neither ever overwrites.
void rename_to_free_name(const Path& from, const Path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EEXIST) fail_taken(to);
  if (errno != EINVAL && errno != ENOSYS) fail("rename to", to);
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0) != 0) {
    if (errno == EEXIST) fail_taken(to);
    fail("rename to", to);
  }
  if (::unlink(from.c_str()) != 0) fail("remove", from);
}

/// A file being written beside its final place; removed again unless it was moved there. Its name tells nothing.
class PartialFile {
 public:
  PartialFile(const Path& target, ByteView content)
      : path_(folder_of(target) / ("." + to_hex(random_array<8>()) + ".partial")), file_(File::create_new(path_)) {
    try {
      file_.write_at(0, content);
      file_.sync();
    } catch (...) {
      ::unlink(path_.c_str());
      throw;
    }
  }
  ~PartialFile() {
    if (!moved_) ::unlink(path_.c_str());
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  const Path& path() const { return path_; }
  void moved() { moved_ = true; }

 private:
  Path path_;
  File file_;
  bool moved_ = false;
};

}  // namespace

Errc error_code_of(int system_error) {
  switch (system_error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Errc::kNoSpace;
    case EACCES:
    case EPERM:
    case EROFS:
      return Errc::kNotAllowed;
    default:
      return Errc::kInternal;
  }
}

std::optional<File> File::open_for_reading(const Path& path) {
  const int descriptor = open_existing(place_of(path), O_RDONLY);
  if (descriptor < 0) return std::nullopt;
  File file(descriptor, path);
  if (!S_ISREG(status_of(descriptor, path).st_mode)) throw Error(Errc::kUsage, shown(path) + " is not a regular file");
  return file;
}

std::optional<File> File::open_for_update(const Path& path) {
  const int descriptor = open_existing(place_of(path), O_RDWR);
  if (descriptor < 0) return std::nullopt;
  File file(descriptor, path);
  if (!S_ISREG(status_of(descriptor, path).st_mode)) throw Error(Errc::kUsage, shown(path) + " is not a regular file");
  return file;
}

File File::create_new(const Path& path) { return {create_file(place_of(path)), path}; }

File File::open_directory(const Path& path) {
  const int descriptor = retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0) fail("open", path);
  return File(descriptor, path);
}

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

// Nothing hangs on close: what had to be on the disk was synced before.
File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::uint64_t File::size() const { return static_cast<std::uint64_t>(status_of(descriptor_, path_).st_size); }

std::size_t File::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  return read_from(descriptor_, path_, offset, out);
}

void File::write_at(std::uint64_t offset, ByteView data) { write_to(descriptor_, path_, offset, data); }

void File::truncate(std::uint64_t size) { set_size(descriptor_, path_, size); }

void File::allocate(std::uint64_t size) {
  int error = EINTR;
  while (error == EINTR) error = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size));
  if (error != 0) fail("reserve space for", path_, error);
}

void File::start_writeback(std::uint64_t offset, std::uint64_t length) noexcept {
  ::sync_file_range(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(length), SYNC_FILE_RANGE_WRITE);
}

void File::check_writeback() {
  // Waits for pages under way (none, after syncfs) and reports a failure to write any page since the file was opened.
  if (::sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) != 0) fail("write", path_);
}

void File::advise_sequential() noexcept { ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL); }

bool File::is_linked() const { return status_of(descriptor_, path_).st_nlink > 0; }

void File::sync() {
  const bool folder = S_ISDIR(status_of(descriptor_, path_).st_mode);
  // Not tried again after an error: the system may have dropped the pages, and a second call would report success.
  if ((folder ? ::fsync(descriptor_) : ::fdatasync(descriptor_)) != 0) fail("write", path_);
}

void File::drop_cache() noexcept { ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED); }

bool File::try_lock(Lock kind) {
  const int operation = (kind == Lock::kExclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  if (retry([&] { return ::flock(descriptor_, operation); }) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  fail("lock", path_);
}

void File::lock(Lock kind, int timeout_ms) {
  constexpr timespec kPause{0, 10'000'000};  // 10 ms
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!try_lock(kind)) {
    if (std::chrono::steady_clock::now() >= deadline)
      throw Error(Errc::kBusy, shown(path_) + " is in use by another process");
    ::nanosleep(&kPause, nullptr);
  }
}

void File::unlock() {
  if (retry([&] { return ::flock(descriptor_, LOCK_UN); }) != 0) fail("unlock", path_);
}

FileInFolder::FileInFolder(FileInFolder&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

FileInFolder::~FileInFolder() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<FileInFolder> FileInFolder::open(int folder, const std::string& name, Path path) {
  const int descriptor = open_existing({folder, name.c_str(), path}, O_RDWR);
  if (descriptor < 0) return std::nullopt;
  return FileInFolder(descriptor, std::move(path));
}

FileInFolder FileInFolder::create(int folder, const std::string& name, Path path) {
  return {create_file({folder, name.c_str(), path}), std::move(path)};
}

std::size_t FileInFolder::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  return read_from(descriptor_, path_, offset, out);
}

void FileInFolder::write_at(std::uint64_t offset, ByteView data) { write_to(descriptor_, path_, offset, data); }

void FileInFolder::truncate(std::uint64_t size) { set_size(descriptor_, path_, size); }

void FileInFolder::sync() {
  if (::fdatasync(descriptor_) != 0) fail("write", path_);
}

void FileInFolder::drop_cache() noexcept { ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED); }

std::optional<Bytes> read_small_file(const Path& path, std::size_t max_bytes) {
  const auto file = File::open_for_reading(path);
  if (!file) return std::nullopt;
  const std::uint64_t size = file->size();
  if (size > max_bytes) throw Error(Errc::kDamaged, shown(path) + " is longer than it can be");
  Bytes content(size);
  content.resize(file->read_at(0, content));
  return content;
}

void replace_file(const Path& path, ByteView content) {
  PartialFile partial(path, content);
  rename_over(partial.path(), path);
  partial.moved();
  sync_directory(folder_of(path));
}

void write_new_file(const Path& path, ByteView content) {
  PartialFile partial(path, content);
  rename_to_free_name(partial.path(), path);
  partial.moved();
  sync_directory(folder_of(path));
}

void publish_unsynced(const Path& from, const Path& to) { rename_to_free_name(from, to); }

void publish_file(const Path& from, const Path& to) {
  rename_to_free_name(from, to);
  sync_directory(folder_of(to));
  if (folder_of(from) != folder_of(to)) sync_directory(folder_of(from));
}

void replace_by_rename(const Path& from, const Path& to) {
  rename_over(from, to);
  sync_directory(folder_of(to));
  if (folder_of(from) != folder_of(to)) sync_directory(folder_of(from));
}

bool make_directory(const Path& path) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno != EEXIST) fail("create", path);
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) fail("look at", path);
    if (!S_ISDIR(status.st_mode)) throw Error(Errc::kUsage, shown(path) + " exists already and is not a folder");
    return false;
  }
  sync_directory(folder_of(path));
  return true;
}

bool remove_file(const Path& path) {
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  fail("remove", path);
}

void remove_empty_directory(const Path& path) noexcept { ::rmdir(path.c_str()); }

void sync_directory(const Path& path) { File::open_directory(path).sync(); }

void sync_file_system(const Path& path) {
  const int descriptor = retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (descriptor < 0) fail("open", path);
  const int status = ::syncfs(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (status != 0) fail("write", path, error);
}

std::vector<std::string> list_directory(const Path& path) {
  std::error_code error;
  std::vector<std::string> names;
  for (auto entry = std::filesystem::directory_iterator(path, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().native());
  }
  if (error == std::errc::no_such_file_or_directory) return {};
  if (error) fail("read", path, error.value());
  std::ranges::sort(names);
  return names;
}

std::uint64_t free_space(const Path& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) fail("look at", path);
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace casevault
