#include "vault/raid/secret_pipe.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "crypto/error.h"

namespace casevault {

OwnedFd pipe_holding(const SecretBytes& secret) {
  require(secret.size() <= kMaxPipedSecret, "a passphrase is too long for its pipe");
  int ends[2] = {-1, -1};
  require(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "cannot make a pipe");
  OwnedFd reading(ends[0]);
  const OwnedFd writing(ends[1]);
  const auto bytes = secret.expose_secret();
  // No more than PIPE_BUF (4,096 bytes), and nothing is in it yet: one write takes all.
  require(write(writing.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
          "cannot write to a pipe");
  return reading;
}

SecretBytes read_secret(int pipe, int timeout_ms) {
  SecretBytes secret(kMaxPipedSecret + 1);
  std::size_t size = 0;
  while (size <= kMaxPipedSecret) {
    pollfd wait = {pipe, POLLIN, 0};
    if (poll(&wait, 1, timeout_ms) <= 0) throw Error(Errc::kUsage, "the passphrase did not come");
    const auto rest = secret.expose_secret_for_writing().subspan(size);
    const ssize_t got = read(pipe, rest.data(), rest.size());
    if (got == 0) break;
    if (got < 0 && errno != EAGAIN && errno != EINTR) throw Error(Errc::kUsage, "the passphrase did not come");
    if (got > 0) size += static_cast<std::size_t>(got);
  }
  if (size > kMaxPipedSecret) throw Error(Errc::kUsage, "the passphrase is too long");
  secret.truncate(size);
  return secret;
}

}  // namespace casevault
