#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/guarded.h"
#include "cli/json.h"
#include "cli/machine.h"
#include "cli/passphrase.h"
#include "vault/raid/guard.h"
#include "vault/raid/processes.h"

namespace casevault {
namespace {

constexpr int kTries = 3;  // a guard may end just when it is asked

/// 0 where the option is not given.
int idle_option(Invocation& call) {
  const auto text = call.value("idle");
  if (!text) return 0;
  const auto minutes = parse_number(*text);
  if (!minutes || *minutes < 1 || *minutes > kMaxIdleMinutes) {
    throw Error(Errc::kUsage, "--idle takes minutes, 1 to " + std::to_string(kMaxIdleMinutes),
                help_hint(call.command()));
  }
  return static_cast<int>(*minutes);
}

/// In a new process of this program: with memory of its own, and arguments that say nothing.
[[noreturn]] void become_guard(const std::string& folder) {
  reset_signals();
  setenv("CASEVAULT_DIR", folder.c_str(), 1);
  unsetenv("CASEVAULT_USER");
  execl("/proc/self/exe", "casevault", "guard", "--background", static_cast<char*>(nullptr));
  _exit(static_cast<int>(Errc::kInternal));
}

/// Returns when the guard serves. One that serves already is as good.
void start_guard(const std::string& folder) {
  const std::string absolute = std::filesystem::absolute(folder).lexically_normal().string();
  const pid_t process = fork();
  require(process >= 0, "cannot start a process");
  if (process == 0) become_guard(absolute);
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  const int ended_with = WIFEXITED(status) ? WEXITSTATUS(status) : static_cast<int>(Errc::kInternal);
  if (ended_with == 0 || ended_with == static_cast<int>(Errc::kBusy)) return;
  throw Error(static_cast<Errc>(ended_with), "the guard could not be started");
}

GuardClient guard_for(Invocation& call, const Vault& vault) {
  const auto places = socket_places(call.process());
  for (int i = 0; i < kTries; ++i) {
    if (auto guard = GuardClient::connect(places, vault.header().vault_id)) return std::move(*guard);
    start_guard(vault.folder().string());
  }
  throw Error(Errc::kBusy, "the guard does not answer", "casevault lock");
}

GuardClient::Unlocked unlock(Invocation& call, const Vault& vault, const std::string& user,
                             const SecretBytes& passphrase, int idle_minutes) {
  for (int i = 0; i < kTries; ++i) {
    auto unlocked =
        guard_for(call, vault).unlock(user, passphrase, idle_minutes, call.process().environment.interrupted);
    if (unlocked) return std::move(*unlocked);
  }
  throw Error(Errc::kInternal, "the guard ended before it answered");
}

/// A guard that was told to lock does not say by whom. Where an order did it, opening the vault here tells.
GuardClient::Unlocked unlock_or_say_why(Invocation& call, const Vault& vault, int idle_minutes) {
  const std::string user = call.user();
  const SecretBytes passphrase = current_passphrase(call, "Passphrase of " + user);
  try {
    return unlock(call, vault, user, passphrase, idle_minutes);
  } catch (const Error& error) {
    const bool was_locked = error.code() == Errc::kInterrupted && !call.process().environment.interrupted();
    if (!was_locked || vault.header().custody.empty()) throw;
    Vault::open(call.vault_folder(), call.process().environment).unlock(user, passphrase);
    throw Error(error.code(), std::string(error.what()) + ", by an order or by somebody here",
                "casevault custody status");
  }
}

int run_unlock(Invocation& call) {
  const int idle_minutes = idle_option(call);
  const Vault vault = Vault::open(call.vault_folder(), call.process().environment);
  const auto unlocked = unlock_or_say_why(call, vault, idle_minutes);
  for (const std::string& warning : unlocked.warnings) call.out().warning(warning);
  for (const std::string& warning : machine_warnings(vault.folder().string())) call.out().warning(warning);
  const std::string idle = count_of(static_cast<std::uint64_t>(unlocked.idle_minutes), "minute", "minutes");
  if (call.json()) {
    call.out().object({{"unlocked", true}, {"idle_minutes", unlocked.idle_minutes}});
  } else {
    call.out().line("unlocked; it locks after " + idle + " without a command");
  }
  call.out().next("lock it when you leave: casevault lock");
  return 0;
}

}  // namespace

Command unlock_command() {
  return {
      .name = "unlock",
      .arguments = "",
      .max_arguments = 0,
      .summary = "keep the vault unlocked for a while",
      .description =
          "Asks for your passphrase once. Until the vault is locked again your other commands on this machine need "
          "none: they\n"
          "run in a guard, a process that keeps your key in locked memory. It is locked by casevault lock or panic, "
          "after a time\n"
          "without a command, when the machine goes to sleep, and when the screen is locked (where the system tells).\n"
          "\n"
          "While it is unlocked, whoever sits at this machine as you can read what you can read.",
      .options = {{.name = "idle",
                   .value = "MINUTES",
                   .help = "lock after so long without a command; 15 if not given"}},
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed, Errc::kDamaged,
                   Errc::kAuditUnavailable, Errc::kDestroyed, Errc::kInterrupted},
      .run = run_unlock,
  };
}

}  // namespace casevault
