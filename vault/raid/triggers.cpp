#include "vault/raid/triggers.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
extern "C" {  // glibc 2.36 forgets it
#include <sys/pidfd.h>
}
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "vault/raid/processes.h"

namespace casevault {
namespace {

constexpr int kRestartPauseMs = 5'000;
constexpr std::size_t kMaxLine = 256;  // bytes
constexpr std::size_t kMaxOrder = 128;

std::int64_t monotonic_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

/// Reads away whatever waits there.
void drain(int descriptor) {
  std::array<std::byte, 4096> ignored{};
  while (read(descriptor, ignored.data(), ignored.size()) > 0) {
  }
}

bool is_order(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  };
  return !text.empty() && text.size() <= kMaxOrder && std::ranges::all_of(text, is_plain);
}

}  // namespace

short Trigger::events() const { return POLLIN; }

IdleTimer::IdleTimer() : timer_(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)) {
  require(timer_.get() >= 0, "cannot make a timer");
}

void IdleTimer::start(int minutes) {
  minutes_ = minutes;
  const itimerspec when = {.it_interval = {}, .it_value = {.tv_sec = minutes * 60, .tv_nsec = 0}};
  require(timerfd_settime(timer_.get(), 0, &when, nullptr) == 0, "cannot set a timer");
}

void IdleTimer::stop() {
  const itimerspec never = {};
  timerfd_settime(timer_.get(), 0, &never, nullptr);
}

std::optional<Demand> IdleTimer::check() {
  std::uint64_t times = 0;
  if (read(timer_.get(), &times, sizeof times) != sizeof times) return std::nullopt;
  return Demand{Demand::Kind::kLock, "no command for " + std::to_string(minutes_) + " minutes", {}};
}

Signals::Signals() {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int number : {SIGUSR1, SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&ours, number);
  require(sigprocmask(SIG_BLOCK, &ours, &before_) == 0, "cannot block signals");
  signals_ = OwnedFd(signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
  require(signals_.get() >= 0, "cannot wait for signals");
}

Signals::~Signals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

std::optional<Demand> Signals::check() {
  signalfd_siginfo signal = {};
  while (read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGUSR1) return Demand{Demand::Kind::kLock, "a signal asked for it", {}};
    if (signal.ssi_signo != SIGCHLD) return Demand{Demand::Kind::kEnd, "a signal ended the guard", {}};
  }
  return std::nullopt;
}

UsbKey::UsbKey(Path device)
    : device_(std::filesystem::absolute(device)), watch_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  constexpr auto kEvents = IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT;
  require(watch_.get() >= 0, "cannot watch folders");
  const auto folder = device_.parent_path();
  if (inotify_add_watch(watch_.get(), folder.c_str(), kEvents) < 0 || !is_there()) {
    throw Error(Errc::kUsage, "there is no such device: " + device_.string(), "ls /dev/disk/by-id");
  }
}

bool UsbKey::is_there() const { return access(device_.c_str(), F_OK) == 0; }

std::optional<Demand> UsbKey::check() {
  drain(watch_.get());
  if (is_there()) return std::nullopt;
  return Demand{Demand::Kind::kLock, "the USB key was taken out", {}};
}

Watcher::Watcher(Body body) : body_(std::move(body)) { start(); }

Watcher::~Watcher() {
  if (process_ > 0) kill(process_, SIGKILL);
}

void Watcher::start() {
  if (!body_) return;
  int demands[2] = {-1, -1};
  int receipts[2] = {-1, -1};
  require(pipe2(demands, O_CLOEXEC) == 0 && pipe2(receipts, O_CLOEXEC) == 0, "cannot make pipes");
  const pid_t parent = getpid();
  process_ = fork();
  require(process_ >= 0, "cannot start a process");
  if (process_ == 0) {
    try {
      end_with_parent(parent, SIGKILL);
      reset_signals();
      // Not our standard error: whoever waits for its end would wait for this process.
      const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      arrange_descriptors({{0, receipts[0]}, {1, demands[1]}, {2, null}});
      _exit(body_(1, 0));
    } catch (...) {
      _exit(1);
    }
  }
  close(demands[1]);
  close(receipts[0]);
  demands_ = OwnedFd(demands[0]);
  receipts_ = OwnedFd(receipts[1]);
  for (const int end : {demands[0], receipts[1]}) fcntl(end, F_SETFL, O_NONBLOCK);
  unread_.clear();
  is_line_too_long_ = false;
}

bool Watcher::has_ended() const { return process_ > 0 && waitpid(process_, nullptr, WNOHANG) == process_; }

void Watcher::ended() {
  process_ = -1;
  demands_.close();
  receipts_.close();
  start_at_ms_ = monotonic_ms() + kRestartPauseMs;
}

int Watcher::timeout_ms() const {
  if (!body_ || process_ > 0) return unread_.find('\n') == unread_.npos ? -1 : 0;
  return static_cast<int>(std::max<std::int64_t>(0, start_at_ms_ - monotonic_ms()));
}

std::optional<Demand> Watcher::check() {
  if (body_ && process_ < 0 && monotonic_ms() >= start_at_ms_) start();
  if (unread_.find('\n') == unread_.npos) read_more();
  const auto end = unread_.find('\n');
  if (end == unread_.npos) return std::nullopt;
  const auto line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  return std::exchange(is_line_too_long_, false) ? std::nullopt : parse(line);
}

void Watcher::read_more() {
  if (!demands_) return;
  if (unread_.size() > kMaxLine) {
    is_line_too_long_ = true;  // up to its end
    unread_.clear();
  }
  std::array<char, kMaxLine> piece{};
  const ssize_t got = read(demands_.get(), piece.data(), piece.size());
  if (got > 0) unread_.append(piece.data(), static_cast<std::size_t>(got));
  if (got == 0) demands_.close();  // nothing more will come; that it ends is noticed elsewhere
}

std::optional<Demand> Watcher::parse(const std::string& line) {
  if (line == "lock") return Demand{Demand::Kind::kLock, "the vault may not stay open", {}};
  for (const auto& [word, kind] : {std::pair("lock ", Demand::Kind::kLock), {"destroy ", Demand::Kind::kDestroy}}) {
    if (!line.starts_with(word)) continue;
    const auto order = line.substr(std::string_view(word).size());
    if (is_order(order)) return Demand{kind, "an order came", order};
  }
  return std::nullopt;
}

void Watcher::finish(int timeout_ms) {
  receipts_.close();
  if (process_ < 0) return;
  const OwnedFd process(pidfd_open(process_, 0));
  pollfd wait = {process.get(), POLLIN, 0};
  poll(&wait, 1, timeout_ms);
}

void Watcher::tell(const std::string& line) {
  const auto text = line + "\n";
  if (receipts_ && write(receipts_.get(), text.data(), text.size()) < 0) receipts_.close();
}

}  // namespace casevault
