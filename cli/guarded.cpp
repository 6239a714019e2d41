#include "cli/guarded.h"

#include <fcntl.h>
#include <unistd.h>

#include "cli/descriptor.h"
#include "vault/replica/store.h"
#include "vault/vault.h"

namespace casevault {
namespace {

/// Those of the environment that the program asks for, or that how it writes depends on.
std::map<std::string, std::string> variables_of(const Process& process) {
  std::map<std::string, std::string> variables;
  for (const char* name :
       {"CASEVAULT_DIR", "CASEVAULT_USER", "COLUMNS", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LC_TIME", "TERM"}) {
    if (const auto value = process.variable(name)) variables[name] = *value;
  }
  for (const char* name : rclone_variables()) {
    if (const auto value = process.variable(name)) variables[name] = *value;
  }
  return variables;
}

/// Standard ones, and those that are named as /dev/fd/N.
std::vector<int> descriptors_of(const std::vector<std::string>& words) {
  std::set<int> numbers = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  numbers.merge(descriptors_named_in(words));
  std::erase_if(numbers, [](int number) { return fcntl(number, F_GETFD) == -1; });
  return {numbers.begin(), numbers.end()};
}

OwnedFd open_terminal_of(const Process& process) {
  if (process.terminal.empty()) return {};
  return OwnedFd(::open(process.terminal.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
}

/// nullopt for whatever is wrong with the vault: the command itself finds it, and says so in its place.
std::optional<GuardClient> guard_of(Invocation& call) {
  try {
    const auto vault = Vault::open(call.vault_folder(), call.process().environment);
    return GuardClient::connect(socket_places(call.process()), vault.header().vault_id);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

SocketPlaces socket_places(const Process& process) {
  return {process.variable("XDG_RUNTIME_DIR"), process.variable("HOME")};
}

std::optional<int> run_in_guard(Invocation& call, const std::vector<std::string>& words) {
  if (call.has("passphrase-file")) return std::nullopt;
  auto guard = guard_of(call);
  if (!guard) return std::nullopt;
  const auto terminal = open_terminal_of(call.process());
  return guard->run({.user = call.user(),
                     .words = words,
                     .variables = variables_of(call.process()),
                     .descriptors = descriptors_of(words),
                     .terminal = terminal.get()},
                    call.process().environment.interrupted);
}

bool lock_guard(Invocation& call) {
  constexpr int kTimeoutMs = 5'000;
  const Vault vault = Vault::open(call.vault_folder(), call.process().environment);
  auto guard = GuardClient::connect(socket_places(call.process()), vault.header().vault_id);
  const auto locked = guard ? guard->lock(false, kTimeoutMs) : GuardClient::Locked::kWasLocked;
  if (locked == GuardClient::Locked::kNoAnswer) {
    throw Error(Errc::kBusy, "the guard does not answer", "casevault panic ends it whatever it does");
  }
  return locked == GuardClient::Locked::kWasUnlocked;
}

}  // namespace casevault
