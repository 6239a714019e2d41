#include "vault/storage/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "crypto/random.h"
#include "vault/text.h"

namespace casevault {
namespace {

[[noreturn]] void fail(const char* action, const Path& path, int error = errno) {
  const auto shown = "'" + escape_for_display(path.native()) + "'";
  if (error == EEXIST) throw Error(Errc::kUsage, shown + " exists already");
  auto reason = std::generic_category().message(error);
  if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z') reason[0] = static_cast<char>(reason[0] + 32);
  throw Error(error_code_of(error), "cannot " + std::string(action) + " " + shown + ": " + reason);
}

}  // namespace

NewFile NewFile::beside(const Path& target) {
  const auto folder = target.parent_path();
  int descriptor = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (descriptor >= 0) return {descriptor, target, {}};
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) fail("create", target);
  auto partial = folder / ("." + to_hex(random_array<8>()) + ".partial");
  descriptor = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) fail("create", partial);
  return {descriptor, target, std::move(partial)};
}

NewFile::NewFile(NewFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      target_(std::move(other.target_)),
      partial_(std::exchange(other.partial_, {})),
      size_(other.size_) {}

NewFile::~NewFile() {
  if (!partial_.empty()) ::unlink(partial_.c_str());
  if (descriptor_ >= 0) ::close(descriptor_);
}

void NewFile::append(ByteView data) {
  const auto began = size_;
  while (!data.empty()) {
    const auto count = ::pwrite(descriptor_, data.data(), data.size(), static_cast<off_t>(size_));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail("write", target_, count < 0 ? errno : EIO);
    size_ += static_cast<std::uint64_t>(count);
    data = data.subspan(static_cast<std::size_t>(count));
  }
  // Begun now, so that the one sync at the end has less to wait for.
  ::sync_file_range(descriptor_, static_cast<off_t>(began), static_cast<off_t>(size_ - began), SYNC_FILE_RANGE_WRITE);
}

void NewFile::sync() {
  if (::fdatasync(descriptor_) != 0) fail("write", target_);
}

void NewFile::publish_unsynced() {
  if (!partial_.empty()) {
    casevault::publish_unsynced(partial_, target_);
    partial_.clear();
    return;
  }
  const auto here = "/proc/self/fd/" + std::to_string(descriptor_);
  if (::linkat(AT_FDCWD, here.c_str(), AT_FDCWD, target_.c_str(), AT_SYMLINK_FOLLOW) != 0) fail("create", target_);
}

}  // namespace casevault
