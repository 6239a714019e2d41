#pragma once
#include <sys/types.h>

#include <map>

namespace casevault {

/// Makes the descriptors of this process exactly those of `wanted`, by number: each a copy of the one it maps to. All
/// others are closed, so no object that owned one may be used afterwards. @throws Error{kInternal}
void arrange_descriptors(const std::map<int, int>& wanted);

/// Closes the descriptors from `first` to `last`; one by one where a sandbox does not know close_range(2).
void close_between(unsigned first, unsigned last);

/// For a process that was just forked: when `parent` ends, however it ends, this one gets `signal`.
/// Ends the process at once if `parent` has ended already.
void end_with_parent(pid_t parent, int signal);

/// No signal is blocked, and those that end a process do so by default.
void reset_signals();

}  // namespace casevault
