#include "vault/raid/holders.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgets it
#include <sys/pidfd.h>
}

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iomanip>
#include <sstream>

#include "vault/raid/owned_fd.h"

namespace casevault {
namespace {

/// As a line of /proc/locks names a file: "fe:01:131074".
std::string name_in_locks(const Path& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return {};
  std::ostringstream name;
  name << std::hex << std::setfill('0') << std::setw(2) << major(status.st_dev) << ':' << std::setw(2)
       << minor(status.st_dev) << ':' << std::dec << status.st_ino;
  return name.str();
}

/// "1: FLOCK  ADVISORY  READ 1234 fe:01:131074 0 EOF"
std::vector<pid_t> holders_of(const Path& path) {
  std::vector<pid_t> holders;
  const auto wanted = name_in_locks(path);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, mode, file;
    pid_t process = 0;
    if (!(words >> number >> kind >> advisory >> mode >> process >> file)) continue;
    if (kind == "FLOCK" && file == wanted && process > 0 && process != getpid()) holders.push_back(process);
  }
  return holders;
}

/// False where nobody holds it. To read /proc/locks first stops all locking, which takes Linux some 10 ms: keys would
/// last so much longer.
bool may_be_held(const Path& path) {
  try {
    auto file = File::open_for_reading(path);
    return file && !file->try_lock(File::Lock::kExclusive);
  } catch (const Error&) {
    return true;
  }
}

/// Descriptors of the processes, by which no other one can be meant. Looked up again after they were opened: a number
/// may have changed hands meanwhile.
std::vector<OwnedFd> open_holders(const Path& path) {
  if (!may_be_held(path)) return {};
  std::vector<std::pair<pid_t, OwnedFd>> opened;
  for (const auto process : holders_of(path)) opened.emplace_back(process, OwnedFd(pidfd_open(process, 0)));
  const auto still = holders_of(path);
  std::vector<OwnedFd> holders;
  for (auto& [process, descriptor] : opened) {
    if (descriptor && std::ranges::find(still, process) != still.end()) holders.push_back(std::move(descriptor));
  }
  return holders;
}

bool wait_for_end(const std::vector<OwnedFd>& processes, int timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (const auto& process : processes) {
    const auto left = deadline - std::chrono::steady_clock::now();
    const auto left_ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    pollfd wait = {process.get(), POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(0, left_ms))) == 0) return false;
  }
  return true;
}

}  // namespace

std::size_t end_sessions(const Path& folder, int grace_ms) {
  constexpr int kPatienceWithKilled = 1'000;  // milliseconds
  auto holders = open_holders(folder / "slots");
  std::erase_if(holders, [&](const OwnedFd& process) {
    return pidfd_send_signal(process.get(), grace_ms > 0 ? SIGTERM : SIGKILL, nullptr, 0) != 0;
  });
  if (grace_ms > 0 && !wait_for_end(holders, grace_ms)) {
    for (const auto& process : holders) pidfd_send_signal(process.get(), SIGKILL, nullptr, 0);
  }
  wait_for_end(holders, kPatienceWithKilled);
  return holders.size();
}

}  // namespace casevault
