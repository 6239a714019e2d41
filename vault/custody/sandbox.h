#pragma once
#include "vault/storage/file.h"

namespace casevault {

/// Takes from this process, and from the threads that it will start, what a service that already listens and has its
/// store open needs no more: other files than those below `data` (Landlock), new sockets, programs, other processes,
/// the kernel's rarer interfaces (seccomp), and gaining privileges by any of that. A kernel that knows less is asked
/// for less. Call it before any thread is started.
/// @throws Error{kInternal} when a kernel that knows these refuses.
void enter_sandbox(const Path& data);

}  // namespace casevault
