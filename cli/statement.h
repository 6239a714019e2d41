#pragma once
#include <vector>

#include "cli/command.h"
#include "vault/custody/statement.h"

namespace casevault {

// What `custody statement` and `order statement` have in common.

struct Interval {
  std::int64_t from_ms = 0;
  std::int64_t until_ms = 0;
};
/// `--from` and `--to`; the last 24 hours where they are not given. @throws Error{kUsage}
Interval interval_option(Invocation& call);
std::vector<Option> statement_options();

/// The entries, and the sentence that it is about. Returns the exit status.
/// @throws Error{kTooFewCustodians} when those who are silent could have released more.
int print_statement(Invocation& call, const Interval& interval, const CustodyStatement& statement);

}  // namespace casevault
