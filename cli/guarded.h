#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "vault/raid/client.h"

namespace casevault {

/// Where the guards of whoever runs this have their sockets.
SocketPlaces socket_places(const Process& process);

/// Gives the command to the guard of its vault, where one is unlocked for its user; returns its exit status. nullopt:
/// there is none, and the command has to be run here. @throws Error{kInterrupted} when the vault was locked meanwhile.
std::optional<int> run_in_guard(Invocation& call, const std::vector<std::string>& words);

/// Locks the vault of this call. Returns whether it was unlocked.
/// @throws Error{kBusy} when its guard does not answer, and what Vault::open throws.
bool lock_guard(Invocation& call);

}  // namespace casevault
