#include "cli/hardening.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <csignal>
#include <set>
#include <string_view>

#include "cli/descriptor.h"
#include "crypto/error.h"
#include "crypto/random.h"

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

/// The descriptors that arguments name, also as `--option=/dev/fd/N`.
std::set<unsigned> named_descriptors(int argc, char** argv) {
  std::set<unsigned> named;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word.starts_with("--")) {
      const auto equals = word.find('=');
      if (equals == word.npos) continue;
      word.remove_prefix(equals + 1);
    }
    if (const auto number = descriptor_named(word)) named.insert(static_cast<unsigned>(*number));
  }
  return named;
}

/// Closes `first` to `last`; one by one where a sandbox does not know close_range(2).
void close_between(unsigned first, unsigned last) {
  if (close_range(first, last, 0) == 0) return;
  rlimit open_files = {};
  require(getrlimit(RLIMIT_NOFILE, &open_files) == 0, "cannot close descriptors that were left open");
  for (rlim_t number = first; number <= last && number < open_files.rlim_cur; ++number) close(static_cast<int>(number));
}

void close_stray_descriptors(int argc, char** argv) {
  unsigned next = STDERR_FILENO + 1;
  for (const unsigned keep : named_descriptors(argc, argv)) {
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
