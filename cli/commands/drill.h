#pragma once
#include "cli/command.h"

namespace casevault {

/// `--drill` of `guard` and `panic`: destroys a stand-in for the vault and says how long each stage took.
int run_drill(Invocation& call);

/// "12.3 ms"
std::string duration_for_people(std::chrono::microseconds duration);

}  // namespace casevault
