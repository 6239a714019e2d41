#include "vault/replica/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "crypto/error.h"

namespace casevault {
namespace {

constexpr std::string_view kPrefix = "rclone:";
constexpr std::size_t kBlockSize = 1u << 20;  // bytes

/// The system begins its sentences with a capital letter.
std::string lower(std::string reason) {
  if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z') reason[0] = static_cast<char>(reason[0] + 32);
  return reason;
}

}  // namespace

bool is_remote(const std::string& place) { return place.starts_with(kPrefix); }

void refuse_likely_remote(const std::string& place) {
  const auto colon = place.substr(0, place.find('/')).find(':');
  if (is_remote(place) || colon == std::string::npos || colon == 0) return;
  if (std::filesystem::exists(std::filesystem::symlink_status(place))) return;
  throw Error(Errc::kUsage, place + " looks like a remote of rclone",
              "type rclone:" + place + ", or ./" + place + " for a folder of that name");
}

std::unique_ptr<ReplicaStore> open_replica_store(const std::string& place, const RcloneSettings& rclone,
                                                 const Environment& environment) {
  if (place.empty()) throw Error(Errc::kUsage, "the place is empty: which folder, or which remote?");
  if (!is_remote(place)) return make_folder_store(place, environment);
  return make_rclone_store(place.substr(kPrefix.size()), rclone, environment);
}

const std::vector<const char*>& rclone_variables() {
  static const std::vector<const char*> kNames = {"PATH",
                                                  "HOME",
                                                  "XDG_CONFIG_HOME",
                                                  "RCLONE_CONFIG",
                                                  "SSH_AUTH_SOCK",
                                                  "SSL_CERT_FILE",
                                                  "RCLONE_CONFIG_PASS",
                                                  "RCLONE_PASSWORD_COMMAND",
                                                  "HTTPS_PROXY",
                                                  "https_proxy",
                                                  "AWS_PROFILE",
                                                  "AWS_SHARED_CREDENTIALS_FILE",
                                                  "ALL_PROXY",
                                                  "RCLONE_BWLIMIT",
                                                  "DBUS_SESSION_BUS_ADDRESS"};
  return kNames;
}

void walk_files(const Path& root, const std::string& folder,
                const std::function<void(const std::string& name, std::uint64_t size)>& take) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir((root / folder).c_str()), ::closedir);
  if (!directory) {
    if (errno == ENOENT || errno == ENOTDIR) return;
    throw Error(error_code_of(errno), "cannot read the folder " + (root / folder).string());
  }
  while (const auto* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status {};
    const bool is_folder = entry->d_type == DT_DIR;  // no look at it is needed, unless it is a file
    if (!is_folder && ::fstatat(::dirfd(directory.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (is_folder || S_ISDIR(status.st_mode)) {
      walk_files(root, folder + "/" + name, take);
    } else if (S_ISREG(status.st_mode)) {
      take(folder + "/" + name, static_cast<std::uint64_t>(status.st_size));
    }
  }
}

void make_folders(const Path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    throw Error(error_code_of(error.value()),
                "cannot create the folder " + path.string() + ": " + lower(error.message()));
}

Sha256Digest hash_file(const Path& path, const Environment& environment, const ReplicaStore::Progress& progress) {
  auto file = File::open_for_reading(path);
  if (!file) throw Error(Errc::kNotFound, path.filename().string() + " is not there any more");
  file->advise_sequential();
  Sha256 hash;
  Bytes block(kBlockSize);
  for (std::uint64_t at = 0;;) {
    stop_if_interrupted(environment);
    const auto count = file->read_at(at, block);
    hash.update(ByteView(block).first(count));
    at += count;
    if (progress) progress(count);
    if (count < block.size()) return hash.finish();
  }
}

}  // namespace casevault
