#pragma once
#include <vector>

#include "cli/command.h"
#include "vault/vault.h"

namespace casevault {

/// --trustees K/N and --shares DIR. @throws Error{kUsage}
TrusteePlan trustee_plan(Invocation& call);
/// Names the sheets, and says what to do with them.
void report_sheets(Invocation& call, const std::vector<Path>& sheets, const TrusteePlan& plan);
/// As write_sheets names them. @pre they were written
std::vector<Path> sheets_of(const TrusteePlan& plan);

}  // namespace casevault
