#pragma once
#include <string>
#include <vector>

#include "cli/command.h"
#include "vault/audit/report.h"

namespace casevault {

/// Prints findings as results. Returns the exit status: kDamaged when one is bad.
int print_findings(Invocation& call, const std::vector<Finding>& findings);

}  // namespace casevault
