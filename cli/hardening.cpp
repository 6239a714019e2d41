#include "cli/hardening.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <csignal>

#include "cli/descriptor.h"
#include "crypto/error.h"
#include "crypto/random.h"
#include "vault/raid/processes.h"

namespace casevault {
namespace {

std::atomic<bool> interrupted_flag = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");

extern "C" void note_interruption(int) { interrupted_flag.store(true, std::memory_order_relaxed); }

void forbid_dumps() {
  // A piped core handler ignores RLIMIT_CORE, so both are needed.
  const rlimit none = {0, 0};
  require(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, "cannot make this process undumpable");
  require(setrlimit(RLIMIT_CORE, &none) == 0, "cannot switch core dumps off");
}

void tie_standard_descriptors() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(number, F_GETFD) != -1) continue;
    // Read-only also for output: what is written there fails and is reported, instead of vanishing. It gets the lowest
    // free number: this one.
    require(open("/dev/null", O_RDONLY) == number, "cannot open /dev/null");
  }
}

void close_stray_descriptors(int argc, char** argv) {
  unsigned next = STDERR_FILENO + 1;
  for (const int number : descriptors_named_in({argv + std::min(argc, 1), argv + argc})) {
    const auto keep = static_cast<unsigned>(number);
    if (keep < next) continue;
    if (keep > next) close_between(next, keep - 1);
    next = keep + 1;
  }
  close_between(next, UINT_MAX);
}

}  // namespace

void harden_process(int argc, char** argv) {
  forbid_dumps();
  umask(077);
  tie_standard_descriptors();
  close_stray_descriptors(argc, argv);
  init_crypto();
}

void catch_signals() {
  struct sigaction action = {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = note_interruption;  // without SA_RESTART: a read that waits for somebody ends
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (const int number : {SIGPIPE, SIGXFSZ}) sigaction(number, &action, nullptr);
}

bool was_interrupted() noexcept { return interrupted_flag.load(std::memory_order_relaxed); }

}  // namespace casevault
