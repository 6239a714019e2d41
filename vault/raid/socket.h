#pragma once
#include <optional>
#include <string>

#include "vault/access/identity.h"
#include "vault/raid/owned_fd.h"
#include "vault/storage/file.h"

namespace casevault {

/// Where the folder for sockets may be, from the environment.
struct SocketPlaces {
  std::optional<std::string> runtime_dir;  // XDG_RUNTIME_DIR
  std::optional<std::string> home;
};

/// The folder of this user's guards: `casevault` in XDG_RUNTIME_DIR, else in /run/user/UID where there is one, else in
/// ~/.cache. Never in a vault (it may be read-only, or copied) and never where others may write. Held open, and used
/// through its descriptor: what is checked is what is used, and paths may be long.
class SocketFolder {
 public:
  /// nullopt when there is none. @throws Error{kNotAllowed} when it is not this user's alone.
  static std::optional<SocketFolder> find(const SocketPlaces& places);
  /// Makes it if need be. @throws Error: kNotAllowed as above; kUsage when there is no place for it.
  static SocketFolder make(const SocketPlaces& places);

  const Path& path() const { return path_; }
  /// A connection to the guard of a vault, to somebody of the same user id (SO_PEERCRED); nullopt when nobody serves.
  /// @throws Error{kNotAllowed} when it is somebody else's.
  std::optional<OwnedFd> connect(const VaultId& vault) const;
  /// The vaults that have a socket here, served or not.
  std::vector<VaultId> vaults() const;

 private:
  friend class Listener;
  SocketFolder(Path path, OwnedFd folder) : path_(std::move(path)), folder_(std::move(folder)) {}
  /// `name` in the folder, as the system finds it whatever is renamed.
  std::string entry(const std::string& name) const;
  Path path_;
  OwnedFd folder_;
};

/// The socket of one vault's guard, and the lock that makes it the only one. A socket that a guard left behind when it
/// was killed is replaced.
class Listener {
 public:
  /// @throws Error{kBusy} when another guard of this user serves the vault.
  Listener(SocketFolder folder, const VaultId& vault);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  int descriptor() const { return socket_.get(); }
  /// The next connection, if one waits and is by the same user id; those of others are closed at once.
  std::optional<OwnedFd> accept() const;
  /// Nobody finds the socket any more, and another guard may come.
  void remove();

 private:
  SocketFolder folder_;
  std::string name_;
  File lock_;
  OwnedFd socket_;
};

/// The process at the other end of a connection, as it was when it connected or began to listen.
pid_t peer_process(int socket);

}  // namespace casevault
