#pragma once
#include <string>

#include "cli/command.h"
#include "vault/access/users.h"

namespace casevault {

/// Tells on standard output what taking access away did, what is left to do, what `user` had opened, and that this
/// cannot be undone. `filter` is what narrows `audit show` down to it (" --case C-1").
void print_removal(Invocation& call, const std::string& user, const RemovalReport& report, const std::string& filter);

}  // namespace casevault
