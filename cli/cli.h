#pragma once
#include <string>
#include <vector>

#include "cli/process.h"

namespace casevault {

/// Runs one command line (without the program's name) and reports what went wrong. Returns the exit status
/// (docs/cli.md). This is the one place where errors are caught to be reported.
int run(Process& process, const std::vector<std::string>& words);

}  // namespace casevault
