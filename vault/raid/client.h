#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crypto/secret.h"
#include "vault/raid/socket.h"

namespace casevault {

/// A command as it is given to a guard.
struct CommandForGuard {
  std::string user;
  std::vector<std::string> words;
  std::map<std::string, std::string> variables;  // of the environment, those that matter
  std::vector<int> descriptors;                  // that it gets, under their numbers
  int terminal = -1;
};

/// One request to a guard. Each takes the connection with it; another one needs another.
class GuardClient {
 public:
  /// nullopt when no guard serves the vault. @throws Error{kNotAllowed}: see SocketFolder.
  static std::optional<GuardClient> connect(const SocketPlaces& places, const VaultId& vault);
  explicit GuardClient(OwnedFd socket) : socket_(std::move(socket)) {}

  struct Unlocked {
    int idle_minutes = 0;
    std::vector<std::string> warnings;
  };
  /// `idle_minutes` 0: as the guard is set. nullopt: the guard ended before it answered.
  /// @throws what opening the vault throws in the keeper; kInterrupted, also when it was locked meanwhile.
  std::optional<Unlocked> unlock(const std::string& user, const SecretBytes& passphrase, int idle_minutes,
                                 const std::function<bool()>& interrupted);

  enum class Locked { kWasLocked, kWasUnlocked, kNoAnswer };
  /// When it returns, the key is gone and what ran under it has ended. `ends`: the guard ends, too.
  Locked lock(bool ends, int timeout_ms);
  /// Kills the guard, and with it its keeper: for one that does not answer.
  void kill_guard();

  /// Runs a command in the keeper; returns its exit status. nullopt: it is not unlocked for this user.
  /// @throws Error{kInterrupted} when the vault was locked meanwhile.
  std::optional<int> run(const CommandForGuard& command, const std::function<bool()>& interrupted);

 private:
  OwnedFd socket_;
};

}  // namespace casevault
