#include "vault/raid/guard.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands/commands.h"
#include "cli/commands/drill.h"
#include "cli/format.h"
#include "cli/guarded.h"
#include "vault/custody/watch.h"

namespace casevault {
namespace {

/// Goes on in a process that has no terminal. In the one that was started: the status to end with, once the other one
/// serves or has failed. In the other: nothing, and `ready` tells the first one.
class Detached {
 public:
  Detached() {
    int ends[2] = {-1, -1};
    require(pipe2(ends, O_CLOEXEC) == 0, "cannot make a pipe");
    OwnedFd reading(ends[0]);
    writing_ = OwnedFd(ends[1]);
    const pid_t process = fork();
    require(process >= 0, "cannot start a process");
    if (process == 0) {
      require(setsid() >= 0, "cannot begin a session");
      return;
    }
    writing_.close();
    char said = 0;
    int ended_with = 0;
    const bool serves = read(reading.get(), &said, 1) == 1;
    if (!serves) waitpid(process, &ended_with, 0);
    status_ = serves ? 0 : WIFEXITED(ended_with) ? WEXITSTATUS(ended_with) : static_cast<int>(Errc::kInternal);
  }
  std::optional<int> status() const { return status_; }

  /// Lets go of whoever started it.
  void ready() {
    const OwnedFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null.get(), number);
    if (write(writing_.get(), "r", 1) == 1) writing_.close();
  }

 private:
  OwnedFd writing_;
  std::optional<int> status_;
};

GuardSettings settings_of(Invocation& call) {
  GuardSettings settings = {
      .folder = std::filesystem::weakly_canonical(call.vault_folder()),
      .environment = call.process().environment,
      .places = socket_places(call.process()),
      .run = call.process().run_for_guard,
  };
  settings.watcher = [folder = settings.folder, environment = settings.environment](int demands, int receipts) {
    return watch_custodians(folder, environment, demands, receipts);
  };
  if (const auto device = call.value("usb-key")) settings.usb_key = *device;
  if (const auto text = call.value("idle")) {
    const auto minutes = parse_number(*text);
    if (!minutes || *minutes < 1 || *minutes > kMaxIdleMinutes) {
      throw Error(Errc::kUsage, "--idle takes minutes, 1 to " + std::to_string(kMaxIdleMinutes),
                  help_hint(call.command()));
    }
    settings.idle_minutes = static_cast<int>(*minutes);
  }
  return settings;
}

int run_in_background(GuardSettings settings) {
  Detached detached;
  if (const auto status = detached.status()) return *status;
  settings.ends_when_locked = true;
  settings.ready = [&] { detached.ready(); };
  return run_guard(settings);
}

int run_in_foreground(Invocation& call, GuardSettings settings) {
  settings.report = [&](const std::string& what) { call.out().note(what); };
  settings.ready = [&] { call.out().note("guarding; unlock with: casevault unlock"); };
  return run_guard(settings);
}

int run_guard_command(Invocation& call) {
  if (call.has("drill")) return run_drill(call);
  auto settings = settings_of(call);
  return call.has("background") ? run_in_background(std::move(settings)) : run_in_foreground(call, std::move(settings));
}

}  // namespace

Command guard_command() {
  return {
      .name = "guard",
      .arguments = "",
      .max_arguments = 0,
      .summary = "serve unlocked sessions, and lock by itself",
      .description =
          "Runs until it is ended, as a service of yours (casevault-guard.service), and serves casevault unlock. One "
          "for "
          "each vault\n"
          "and person of the machine. It locks after a time without a command, when the machine goes to sleep, when "
          "the "
          "screen is\n"
          "locked, on the signal USR1, when the USB key is taken out, and by casevault lock or panic. SIGTERM locks "
          "and "
          "ends it.\n"
          "Without it, casevault unlock starts one in the background, which ends when it locks.",
      .options = {{.name = "idle", .value = "MINUTES", .help = "lock after so long without a command; 15 if not given"},
                  {.name = "usb-key",
                   .value = "DEVICE",
                   .help = "lock when this disappears; a name in /dev/disk/by-id"},
                  {.name = "background", .value = nullptr, .help = "return once it serves; it ends when it locks"},
                  {.name = "drill", .value = nullptr, .help = "rehearse destroying, beside the vault, with timings"}},
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kNotAllowed, Errc::kDamaged, Errc::kDestroyed, Errc::kNoSpace},
      .run = run_guard_command,
  };
}

}  // namespace casevault
