#pragma once
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vault/raid/owned_fd.h"
#include "vault/storage/file.h"

struct sd_bus;

namespace casevault {

// What makes a guard lock, end or destroy, besides being asked over its socket. Each is waited for by one descriptor.

struct Demand {
  enum class Kind { kLock, kEnd, kDestroy };  // kEnd: lock, and end the guard
  Kind kind = Kind::kLock;
  std::string reason;  // plain words, for whoever watches the guard
  std::string order;   // of whom the watcher has it from; else empty
};

class Trigger {
 public:
  Trigger() = default;
  Trigger(const Trigger&) = delete;
  Trigger& operator=(const Trigger&) = delete;
  virtual ~Trigger() = default;
  /// -1 when there is nothing to wait for.
  virtual int descriptor() const = 0;
  /// Those of poll(2).
  virtual short events() const;
  /// After which time `check` is wanted although nothing came; -1: never. Milliseconds.
  virtual int timeout_ms() const { return -1; }
  /// Never waits.
  virtual std::optional<Demand> check() = 0;
  /// The vault is locked now.
  virtual void locked() {}
};

/// No command for some minutes, by a clock that goes on while the machine sleeps.
class IdleTimer : public Trigger {
 public:
  IdleTimer();
  /// Begins to count, or begins again.
  void start(int minutes);
  void stop();
  int descriptor() const override { return timer_.get(); }
  std::optional<Demand> check() override;
  void locked() override { stop(); }

 private:
  OwnedFd timer_;
  int minutes_ = 0;
};

/// SIGUSR1 locks; SIGTERM, SIGINT and SIGHUP lock and end. They are blocked while this exists, and so is SIGCHLD, which
/// only wakes.
class Signals : public Trigger {
 public:
  Signals();
  ~Signals() override;
  int descriptor() const override { return signals_.get(); }
  std::optional<Demand> check() override;

 private:
  sigset_t before_{};
  OwnedFd signals_;
};

/// The machine goes to sleep, or the screen is locked: logind's PrepareForSleep and Lock over the system's D-Bus. Sleep
/// is held up (a "delay" inhibitor) until the vault is locked. Where there is no bus or no logind it is quietly absent.
class Logind : public Trigger {
 public:
  /// `absent` is told once, and why, when there is none, or none any more.
  explicit Logind(std::function<void(const std::string&)> absent);
  ~Logind() override;
  int descriptor() const override;
  short events() const override;
  int timeout_ms() const override;
  std::optional<Demand> check() override;
  void locked() override;

 private:
  friend struct LogindReplies;
  bool subscribe();
  void delay_sleep();
  void give_up(const std::string& why);

  std::function<void(const std::string&)> absent_;
  sd_bus* bus_ = nullptr;
  OwnedFd inhibitor_;
  std::optional<Demand> demand_;
  bool failed_ = false;
};

/// A device that must stay plugged in, by a name such as /dev/disk/by-id/usb-…: when the name goes, it locks.
class UsbKey : public Trigger {
 public:
  /// @throws Error{kUsage} when there is no such device now.
  explicit UsbKey(Path device);
  int descriptor() const override { return watch_.get(); }
  std::optional<Demand> check() override;
  bool is_there() const;

 private:
  Path device_;
  OwnedFd watch_;
};

/// A process of ours that listens elsewhere (to the custodians) and demands by lines of text: `lock`, `lock ORDER` or
/// `destroy ORDER`, ORDER being up to 128 letters, digits, `-` and `_` of ASCII. Whatever else it writes means nothing.
class Watcher : public Trigger {
 public:
  /// Runs in the process: writes its lines to the first descriptor, and reads from the second what `tell` says.
  using Body = std::function<int(int demands, int receipts)>;
  /// An empty body: no watcher. It is started again when it ends, after a pause.
  explicit Watcher(Body body);
  ~Watcher() override;
  int descriptor() const override { return demands_.get(); }
  int timeout_ms() const override;
  std::optional<Demand> check() override;
  /// One line to the watcher; never waits, so it is lost where the watcher does not read.
  void tell(const std::string& line);
  /// Nothing more will be told: waits until it has passed on what it was told, and ends.
  void finish(int timeout_ms);
  /// Whether the process has ended, which is reaped then.
  bool has_ended() const;
  void ended();

 private:
  void start();
  void read_more();
  static std::optional<Demand> parse(const std::string& line);
  Body body_;
  pid_t process_ = -1;
  OwnedFd demands_;
  OwnedFd receipts_;
  std::string unread_;
  bool is_line_too_long_ = false;
  std::int64_t start_at_ms_ = 0;  // by the monotonic clock, while there is no process
};

}  // namespace casevault
