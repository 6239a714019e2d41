#include "cli/program.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "cli/cli.h"
#include "cli/descriptor.h"
#include "cli/hardening.h"
#include "crypto/error.h"

namespace casevault {
namespace {

std::int64_t now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string login_name() {
  const passwd* entry = getpwuid(getuid());
  return entry ? entry->pw_name : "";
}

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return value;
}

/// What differs between a process of its own and one that a guard made for a command.
struct Origin {
  std::string terminal;
  std::function<std::optional<std::string>(const char* name)> variable;
  const SlotAccess* unlocked = nullptr;
  RunCommand run_for_guard;
};

/// The XDG Base Directory specification, version 0.8: a relative path is to be ignored.
std::filesystem::path state_folder() {
  const std::filesystem::path given = variable("XDG_STATE_HOME").value_or("");
  if (given.is_absolute()) return given;
  const std::filesystem::path home = variable("HOME").value_or("");
  return home.is_absolute() ? home / ".local" / "state" : std::filesystem::path();
}

int run_process(const std::vector<std::string>& words, const KdfSettings& kdf, Origin origin) {
  DescriptorBuffer buffer(STDOUT_FILENO, was_interrupted);
  std::ostream out(&buffer);
  Process process = {
      .out = out,
      .err = std::cerr,
      .in = std::cin,
      .out_is_terminal = isatty(STDOUT_FILENO) == 1,
      .err_is_terminal = isatty(STDERR_FILENO) == 1,
      .terminal = std::move(origin.terminal),
      .variable = std::move(origin.variable),
      .login_name = login_name(),
      .output_error = [&buffer] { return buffer.error(); },
      .environment = {.now_ms = now_ms,
                      .interrupted = was_interrupted,
                      .device = host_name(),
                      .new_vault_cost = kdf.new_vault,
                      .cost_floor = kdf.floor,
                      .state_folder = state_folder()},
      .unlocked = origin.unlocked,
      .run_for_guard = std::move(origin.run_for_guard),
  };
  return run(process, words);
}

int run_for_guard(const GuardedCommand& command, const SlotAccess& access, const KdfSettings& kdf) {
  catch_signals();
  const auto given = [&](const char* name) -> std::optional<std::string> {
    const auto found = command.variables.find(name);
    if (found == command.variables.end()) return std::nullopt;
    return found->second;
  };
  const auto terminal = command.terminal < 0 ? std::string() : "/dev/fd/" + std::to_string(command.terminal);
  return run_process(command.words, kdf, {.terminal = terminal, .variable = given, .unlocked = &access});
}

}  // namespace

int program_main(int argc, char** argv, const KdfSettings& kdf) {
  std::ios::sync_with_stdio(false);
  try {
    harden_process(argc, argv);
    catch_signals();
    const auto in_guard = [&](const GuardedCommand& command, const SlotAccess& access) {
      return run_for_guard(command, access, kdf);
    };
    return run_process({argv + std::min(argc, 1), argv + argc}, kdf,
                       {.terminal = "/dev/tty", .variable = variable, .run_for_guard = in_guard});
  } catch (const std::exception& error) {  // only before `run`, which catches everything itself
    std::cerr << "casevault: error: " << error.what() << std::endl;
    return static_cast<int>(Errc::kInternal);
  }
}

}  // namespace casevault
