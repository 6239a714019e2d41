#pragma once
#include "crypto/secret.h"
#include "vault/raid/owned_fd.h"

namespace casevault {

// A passphrase on its way to the keeper: through a pipe whose reading end travels over the guard's socket, so that the
// process that serves the socket never has it in its memory.

inline constexpr std::size_t kMaxPipedSecret = 1024;  // bytes; a pipe takes that without anybody reading

/// The reading end of a pipe that holds `secret`. @throws Error{kInternal}, also for a longer one.
OwnedFd pipe_holding(const SecretBytes& secret);

/// What is in such a pipe, to its end, waiting up to `timeout_ms` for each piece.
/// @throws Error: kUsage when it is too long, or its end does not come.
SecretBytes read_secret(int pipe, int timeout_ms);

}  // namespace casevault
