#include "vault/raid/processes.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>

#include "crypto/error.h"

namespace casevault {

void arrange_descriptors(const std::map<int, int>& wanted) {
  int above = 0;
  for (const auto& [number, source] : wanted) above = std::max({above, number + 1, source + 1});
  std::map<int, int> moved;  // out of the way of all the numbers that are wanted
  for (const auto& [number, source] : wanted) {
    const int copy = fcntl(source, F_DUPFD_CLOEXEC, above);
    require(copy >= 0, "cannot copy a descriptor");
    moved[number] = copy;
  }
  for (const auto& [number, copy] : moved) require(dup2(copy, number) == number, "cannot move a descriptor");
  unsigned next = 0;
  for (const auto& [number, copy] : moved) {
    const auto keep = static_cast<unsigned>(number);
    if (keep > next) close_between(next, keep - 1);
    next = keep + 1;
  }
  close_between(next, UINT_MAX);
}

void close_between(unsigned first, unsigned last) {
  if (close_range(first, last, 0) == 0) return;
  rlimit open_files = {};
  require(getrlimit(RLIMIT_NOFILE, &open_files) == 0, "cannot close descriptors that were left open");
  for (rlim_t number = first; number <= last && number < open_files.rlim_cur; ++number) close(static_cast<int>(number));
}

void end_with_parent(pid_t parent, int signal) {
  require(prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) == 0, "cannot tie this process to its parent");
  if (getppid() != parent) _exit(1);  // it had ended before
}

void reset_signals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD}) sigaction(number, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace casevault
