#include "vault/raid/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::string_view kSocketEnding = ".sock";
constexpr int kWaitingConnections = 64;
constexpr timeval kPatience = {.tv_sec = 1, .tv_usec = 0};

std::optional<Path> base_folder(const SocketPlaces& places) {
  if (places.runtime_dir) return *places.runtime_dir;
  const Path by_system = "/run/user/" + std::to_string(geteuid());
  std::error_code unreadable;
  if (std::filesystem::is_directory(by_system, unreadable)) return by_system;
  if (places.home) return Path(*places.home) / ".cache";
  return std::nullopt;
}

/// -1 when there is none.
OwnedFd open_own_folder(const Path& path) {
  OwnedFd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder && (errno == ENOENT || errno == EACCES)) return {};
  struct stat status {};
  if (folder && fstat(folder.get(), &status) == 0 && status.st_uid == geteuid() &&
      (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
    return folder;
  }
  throw Error(Errc::kNotAllowed,
              "the folder for the guard's socket is not yours alone: " + escape_for_display(path.native()),
              "look at who made it; it must be a folder of yours that nobody else can write to");
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  require(path.size() < sizeof address.sun_path, "the path of a socket is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

OwnedFd new_socket(int flags) {
  OwnedFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  require(socket.get() >= 0, "cannot make a socket");
  return socket;
}

ucred peer_of(int socket) {
  ucred peer = {};
  socklen_t size = sizeof peer;
  require(getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0, "cannot see who is at the other end");
  return peer;
}

File take_lock(const Path& path) {
  auto file = File::open_for_update(path);
  if (!file) {
    try {
      file = File::create_new(path);
    } catch (const Error& error) {
      if (error.code() != Errc::kUsage) throw;
      file = File::open_for_update(path);  // somebody was quicker
    }
  }
  if (!file || !file->try_lock(File::Lock::kExclusive)) {
    throw Error(Errc::kBusy, "a guard serves this vault already", "casevault unlock");
  }
  return std::move(*file);
}

}  // namespace

std::optional<SocketFolder> SocketFolder::find(const SocketPlaces& places) {
  const auto base = base_folder(places);
  if (!base) return std::nullopt;
  const auto path = *base / "casevault";
  auto folder = open_own_folder(path);
  if (!folder) return std::nullopt;
  return SocketFolder(path, std::move(folder));
}

SocketFolder SocketFolder::make(const SocketPlaces& places) {
  const auto base = base_folder(places);
  if (!base) {
    throw Error(Errc::kUsage, "there is no place for the guard's socket",
                "set XDG_RUNTIME_DIR to a folder of your own");
  }
  if (!places.runtime_dir && base->filename() == ".cache") make_directory(*base);
  const auto path = *base / "casevault";
  make_directory(path);
  auto folder = open_own_folder(path);
  if (!folder) throw Error(Errc::kNotAllowed, "cannot use the folder for the guard's socket: " + path.string());
  return SocketFolder(path, std::move(folder));
}

std::string SocketFolder::entry(const std::string& name) const {
  return "/proc/self/fd/" + std::to_string(folder_.get()) + "/" + name;
}

std::optional<OwnedFd> SocketFolder::connect(const VaultId& vault) const {
  auto socket = new_socket(0);
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);  // where many wait at the same time
  const auto address = address_of(entry(to_hex(vault) + std::string(kSocketEnding)));
  if (::connect(socket.get(), generic(address), sizeof address) != 0) return std::nullopt;
  if (peer_of(socket.get()).uid != geteuid()) {
    throw Error(Errc::kNotAllowed, "the guard's socket is served by somebody else");
  }
  return socket;
}

std::vector<VaultId> SocketFolder::vaults() const {
  std::vector<VaultId> vaults;
  for (const auto& name : list_directory(path_)) {
    if (!name.ends_with(kSocketEnding)) continue;
    const auto id = array_from_hex<16>(std::string_view(name).substr(0, name.size() - kSocketEnding.size()));
    if (id) vaults.push_back(*id);
  }
  return vaults;
}

Listener::Listener(SocketFolder folder, const VaultId& vault)
    : folder_(std::move(folder)),
      name_(to_hex(vault)),
      lock_(take_lock(folder_.entry(name_ + ".lock"))),
      socket_(new_socket(SOCK_NONBLOCK)) {
  name_ += kSocketEnding;
  const auto path = folder_.entry(name_);
  unlink(path.c_str());  // the lock is ours, so nobody serves it
  const auto address = address_of(path);
  require(bind(socket_.get(), generic(address), sizeof address) == 0, "cannot make the guard's socket");
  require(listen(socket_.get(), kWaitingConnections) == 0, "cannot listen at the guard's socket");
}

Listener::~Listener() { remove(); }

void Listener::remove() {
  if (!socket_) return;
  unlink(folder_.entry(name_).c_str());
  socket_.close();
  lock_.unlock();
}

std::optional<OwnedFd> Listener::accept() const {
  OwnedFd socket(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket || peer_of(socket.get()).uid != geteuid()) return std::nullopt;
  return socket;
}

pid_t peer_process(int socket) { return peer_of(socket).pid; }

}  // namespace casevault
