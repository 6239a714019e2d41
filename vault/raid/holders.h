#pragma once
#include "vault/storage/file.h"

namespace casevault {

/// Ends the processes that work in the vault without a guard: those that hold a lock on its file `slots`, as every
/// session does (proc_locks(5)). SIGTERM, and after `grace_ms` SIGKILL; at once with 0. Not those of other people of
/// the machine, unless an administrator runs this, and not this one. Returns how many there were.
std::size_t end_sessions(const Path& folder, int grace_ms);

}  // namespace casevault
