#include "cli/commands/commands.h"
#include "cli/guarded.h"
#include "cli/json.h"

namespace casevault {
namespace {

int run_lock(Invocation& call) {
  const bool was_unlocked = lock_guard(call);
  if (call.json()) {
    call.out().object({{"locked", true}, {"was_unlocked", was_unlocked}});
  } else {
    call.out().line(was_unlocked ? "locked" : "nothing was unlocked");
  }
  return 0;
}

}  // namespace

Command lock_command() {
  return {
      .name = "lock",
      .arguments = "",
      .max_arguments = 0,
      .summary = "lock the vault now",
      .description =
          "Ends what casevault unlock began: the key is wiped from memory, and commands that run under it are ended. "
          "Needs no\n"
          "passphrase. Nothing on the disk changes. Commands that were started with a passphrase of their own go on.",
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kNotAllowed, Errc::kDamaged, Errc::kDestroyed},
      .run = run_lock,
  };
}

}  // namespace casevault
