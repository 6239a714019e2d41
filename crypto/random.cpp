#include "crypto/random.h"

#include <openssl/rand.h>
#include <sodium.h>
#include <unistd.h>

#include "crypto/error.h"

namespace casevault {
namespace {

// libsodium aborts after this returns. Only write(2): no stream may be trusted at this point.
void report_misuse() {
  static constexpr std::string_view kText = "casevault: internal error: libsodium was misused\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kText.data(), kText.size());
}

}  // namespace

void init_crypto() {
  require(sodium_init() >= 0, "libsodium cannot be initialised: no randomness");
  require(sodium_set_misuse_handler(report_misuse) == 0, "libsodium takes no misuse handler");
  require(RAND_status() == 1, "libcrypto's random generator is not seeded");
}

// randombytes_buf has no failure to report: when the system gives no randomness it aborts the process.
void fill_random(std::span<std::byte> out) {
  if (!out.empty()) randombytes_buf(out.data(), out.size());
}

}  // namespace casevault
