#pragma once
#include <functional>
#include <istream>
#include <optional>
#include <ostream>
#include <string>

#include "vault/environment.h"
#include "vault/raid/keeper.h"

namespace casevault {

/// Everything the program takes from outside and gives out, besides the disk; tests make their own.
struct Process {
  std::ostream& out;  ///< results
  std::ostream& err;  ///< notes, warnings, errors, hints, the progress bar
  std::istream& in;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  std::string terminal;  ///< where questions are asked, "/dev/tty" or "/dev/fd/N"; empty: nowhere
  std::function<std::optional<std::string>(const char* name)> variable;  ///< of the environment
  std::string login_name;                                                ///< empty when the system knows none
  std::function<int()> output_error;  ///< errno of the write to `out` that failed, or 0
  Environment environment;
  const SlotAccess* unlocked = nullptr;  ///< of a command in a guard: opens its user's slot without a passphrase
  RunCommand run_for_guard;              ///< runs a command in the process that a guard made for it
};

}  // namespace casevault
