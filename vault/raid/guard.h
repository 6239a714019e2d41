#pragma once
#include <functional>
#include <optional>
#include <string>

#include "vault/raid/keeper.h"
#include "vault/raid/socket.h"
#include "vault/raid/triggers.h"
#include "vault/raid/wipe.h"

namespace casevault {

inline constexpr int kDefaultIdleMinutes = 15;
inline constexpr int kMaxIdleMinutes = 24 * 60;

struct GuardSettings {
  Path folder;
  Environment environment;
  SocketPlaces places;
  int idle_minutes = kDefaultIdleMinutes;  // where `unlock` names none
  /// Started by `unlock`: it ends when it locks, or when nothing was unlocked for a minute. Locked by `lock ORDER` of
  /// its watcher it stays for an hour, to hear what else comes of that order.
  bool ends_when_locked = false;
  std::optional<Path> usb_key;
  RunCommand run;
  /// What happened, in plain words without names, for whoever watches the guard.
  std::function<void(const std::string&)> report;
  /// Called once the socket is there, and before anything is served.
  std::function<void()> ready;
  /// Listens to the custodians (see Watcher); may be empty. For each stage of an order it gets a line of JSON,
  /// {"order", "stage","time"}: of a lock `locked`; of a destroy those of DestroyStage, with "not_reached" and
  /// "cannot_promise", and at last `reopening-failed`, when opening the vault was tried. Then its input ends, and it
  /// has some seconds to pass on what it got.
  Watcher::Body watcher;
};

/// Serves one vault to one user of the machine, over a Unix socket. This process holds no secret and never sees one:
/// passphrases go through a pipe to the keeper, a process of its own that holds the key, and commands run in the
/// keeper's session. Locking ends that session, by signals, so it works whatever those processes do.
/// Returns the exit status: 0, or 19 when the vault was destroyed.
/// @throws Error: kNoVault, kDamaged, kDestroyed, kBusy (another guard serves it), kNotAllowed, kUsage.
int run_guard(const GuardSettings& settings);

}  // namespace casevault
