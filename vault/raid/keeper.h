#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "vault/raid/message.h"
#include "vault/vault.h"

namespace casevault {

/// One command that somebody gave to the guard, in the process that runs it: standard streams and working directory are
/// those of whoever gave it.
struct GuardedCommand {
  std::vector<std::string> words;
  std::map<std::string, std::string> variables;  // of the environment
  int terminal = -1;                             // a descriptor of their terminal, if they have one
};
/// Runs it, in a process of its own. Returns its exit status; must not throw.
using RunCommand = std::function<int(const GuardedCommand&, const SlotAccess&)>;

struct Keeping {
  Path folder;
  Environment environment;
  RunCommand run;
};

// Between the guard and its keeper, as messages.
// To the keeper:   "run" user number… | terminal     with descriptors: connection, details, folder, [terminal], one per
// number
//                  "retire"                          forget the key; end after the last command
// To the guard:    "open" warning…, "failed" code message hint, "began", "ended"
// To whoever gave the command, over its connection: "status" number, or "locked" where it is not for this user

/// The life of a keeper, in a process that was just forked: derives the key of `user`'s slot from the passphrase in a
/// pipe, proves that it opens the vault, and keeps it, in locked memory, until SIGTERM comes or the guard is gone.
/// Leads a session of its own, in which all its commands run: killing that process group ends everything that holds
/// secrets. Returns the process's exit status.
int run_keeper(const Keeping& keeping, int control, int passphrase, const std::string& user);

}  // namespace casevault
