#include "vault/raid/guard.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <list>

#include "vault/raid/holders.h"
#include "vault/raid/message.h"
#include "vault/raid/processes.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

using Clock = std::chrono::steady_clock;

// Milliseconds.
constexpr int kRequestTimeout = 5'000;          // for a connection to say what it wants
constexpr int kUnlockTimeout = 120'000;         // for a keeper to open the vault; custodians may be slow
constexpr int kFirstUnlockTimeout = 60'000;     // of a guard that `unlock` started
constexpr int kPatienceAfterOrder = 3'600'000;  // of a guard that `unlock` started and an order locked
constexpr int kGraceOfCommands = 250;           // to end at a whole step, when the vault is locked
constexpr int kGraceBeforeDestroying = 10;      // for the keeper to wipe its key
constexpr int kPatienceWithKilled = 1'000;      // for the system to end processes that were killed
constexpr int kPatienceWithWatcher = 10'000;    // to pass on the receipts, when all is done
constexpr std::size_t kMaxConnections = 64;
constexpr std::size_t kMaxKeepers = 8;

int milliseconds_until(Clock::time_point when) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(when - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left + 1, 0, 60'000));
}

Clock::time_point after(int milliseconds) { return Clock::now() + std::chrono::milliseconds(milliseconds); }

/// The smaller of two times to wait, of which -1 is for ever.
int sooner(int a, int b) { return a < 0 ? b : b < 0 ? a : std::min(a, b); }

/// A connection that has not said yet what it wants.
struct Connection {
  OwnedFd socket;
  Clock::time_point deadline;
};

struct KeeperProcess {
  pid_t process = -1;
  OwnedFd control;
  bool is_open = false;
  bool is_retired = false;
  bool is_reaped = false;  // then only its process group may be left, and its number is not to be used
  bool is_over = false;    // nor is that
  int idle_minutes = 0;
  int commands = 0;  // that run under it
  OwnedFd asker;     // who waits for it to open
  Clock::time_point deadline;
};

/// Whether anything is left of a keeper and its commands; what has ended is reaped. A number is used no more once
/// nothing is left: the system may give it to another process.
bool is_left(KeeperProcess& keeper) {
  if (keeper.is_over) return false;
  if (!keeper.is_reaped) keeper.is_reaped = waitpid(keeper.process, nullptr, WNOHANG) == keeper.process;
  if (!keeper.is_reaped) return true;
  pid_t reaped = 0;
  while ((reaped = waitpid(-keeper.process, nullptr, WNOHANG)) > 0) {
  }
  keeper.is_over = reaped != 0;
  return !keeper.is_over;
}

/// To the group as well as to its leader, who may not have made it one yet.
void signal_keeper(const KeeperProcess& keeper, int signal) {
  if (keeper.is_over) return;
  kill(-keeper.process, signal);
  if (!keeper.is_reaped) kill(keeper.process, signal);
}

std::string as_line(const nlohmann::json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class Guard {
 public:
  explicit Guard(const GuardSettings& settings)
      : settings_(settings),
        keeping_{settings.folder, settings.environment, settings.run},
        listener_(SocketFolder::make(settings.places),
                  Vault::open(settings.folder, settings.environment).header().vault_id),
        logind_([this](const std::string& why) { report(why); }),
        watcher_(settings.watcher) {
    // Commands whose keeper has ended become children of this process, so that it can see them end.
    require(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "cannot adopt processes");
    if (settings.usb_key) usb_key_.emplace(*settings.usb_key);
    triggers_ = {&signals_, &idle_, &logind_, &watcher_};
    if (usb_key_) triggers_.push_back(&*usb_key_);
  }

  int serve() {
    if (settings_.ready) settings_.ready();
    sd_notify(0, "READY=1\nSTATUS=locked");
    while (!ended_) {
      auto waits = waits_for();
      const int ready = poll(waits.data(), waits.size(), timeout());
      if (ready > 0) hear(waits);
      check_triggers();
      reap();
      drop_late();
      end_if_idle();
    }
    lock("the guard ends", kGraceOfCommands);
    listener_.remove();
    return status_;
  }

 private:
  void report(const std::string& what) const {
    if (settings_.report) settings_.report(what);
  }

  // Waiting

  std::vector<pollfd> waits_for() const {
    std::vector<pollfd> waits = {{listener_.descriptor(), POLLIN, 0}};
    for (const auto* trigger : triggers_) waits.push_back({trigger->descriptor(), trigger->events(), 0});
    for (const auto& keeper : keepers_) waits.push_back({keeper.control.get(), POLLIN, 0});
    for (const auto& connection : connections_) waits.push_back({connection.socket.get(), POLLIN, 0});
    return waits;
  }

  int timeout() const {
    int wait = -1;
    for (const auto* trigger : triggers_) wait = sooner(wait, trigger->timeout_ms());
    for (const auto& connection : connections_) wait = sooner(wait, milliseconds_until(connection.deadline));
    for (const auto& keeper : keepers_)
      if (!keeper.is_open) wait = sooner(wait, milliseconds_until(keeper.deadline));
    if (settings_.ends_when_locked && keepers_.empty()) wait = sooner(wait, milliseconds_until(end_of_patience()));
    return wait;
  }

  /// What came first is heard first: triggers before requests, so that nothing keeps them waiting.
  void hear(const std::vector<pollfd>& waits) {
    check_triggers();
    for (const auto& wait : waits) {
      if (wait.revents == 0) continue;
      if (wait.fd == listener_.descriptor()) take_connections();
      const auto keeper =
          std::ranges::find_if(keepers_, [&](const KeeperProcess& k) { return k.control.get() == wait.fd; });
      if (keeper != keepers_.end()) hear_keeper(*keeper);
      const auto connection =
          std::ranges::find_if(connections_, [&](const Connection& c) { return c.socket.get() == wait.fd; });
      if (connection != connections_.end()) hear_connection(connection);
    }
  }

  void check_triggers() {
    for (auto* trigger : triggers_) {
      if (const auto demand = trigger->check()) obey(*demand);
    }
  }

  void obey(const Demand& demand) {
    switch (demand.kind) {
      case Demand::Kind::kLock:
        if (!demand.order.empty()) stays_until_ = after(kPatienceAfterOrder);
        lock(demand.reason, kGraceOfCommands);
        if (!demand.order.empty()) tell(demand, "locked");
        return;
      case Demand::Kind::kEnd:
        report(demand.reason);
        ended_ = true;
        return;
      case Demand::Kind::kDestroy:
        destroy(demand);
    }
  }

  // Connections

  void take_connections() {
    while (auto socket = listener_.accept()) {
      if (connections_.size() >= kMaxConnections) connections_.pop_front();  // the one that has waited longest
      connections_.push_back({std::move(*socket), after(kRequestTimeout)});
    }
  }

  void hear_connection(std::list<Connection>::iterator at) {
    auto received = receive_message(at->socket.get());
    if (received.how == Reception::kNothingYet) return;
    auto socket = std::move(at->socket);
    connections_.erase(at);
    if (received.how == Reception::kMessage) answer(std::move(socket), std::move(received.message));
  }

  void answer(OwnedFd socket, Message request) {
    const auto& what = request.texts[0];
    if (what == "run") return pass_on(socket, request);
    if (what == "unlock") return unlock(std::move(socket), std::move(request));
    if (what != "lock" && what != "end") return;
    const bool was_unlocked = lock("somebody asked for it", kGraceOfCommands);
    if (what == "end") ended_ = true;
    if (ended_) listener_.remove();
    send_message(socket.get(), {"locked", was_unlocked ? "before: unlocked" : "before: locked"});
  }

  /// To the keeper, who answers. Connection, then what came along.
  void pass_on(const OwnedFd& socket, const Message& request) {
    auto* keeper = open_keeper();
    std::vector<int> descriptors = {socket.get()};
    for (const auto& descriptor : request.descriptors) descriptors.push_back(descriptor.get());
    if (!keeper || !send_message(keeper->control.get(), request.texts, descriptors)) {
      send_message(socket.get(), {"locked"});
    }
  }

  KeeperProcess* open_keeper() {
    const auto keeper =
        std::ranges::find_if(keepers_, [](const KeeperProcess& k) { return k.is_open && !k.is_retired; });
    return keeper == keepers_.end() ? nullptr : &*keeper;
  }

  // Unlocking

  static void refuse(const OwnedFd& socket, const Error& error) {
    send_message(socket.get(), {"failed", std::to_string(static_cast<int>(error.code())), error.what(), error.hint()});
  }

  /// "unlock" user minutes, with the pipe that holds the passphrase.
  void unlock(OwnedFd socket, Message request) {
    if (request.texts.size() != 3 || request.descriptors.size() != 1) return;
    int minutes = settings_.idle_minutes;
    const auto& text = request.texts[2];
    if (!text.empty()) std::from_chars(text.data(), text.data() + text.size(), minutes);
    if (minutes < 1 || minutes > kMaxIdleMinutes) return;
    if (keepers_.size() >= kMaxKeepers) return refuse(socket, Error(Errc::kBusy, "the guard is unlocking already"));
    if (usb_key_ && !usb_key_->is_there()) {
      return refuse(socket, Error(Errc::kNotAllowed, "the USB key that this guard watches is not plugged in"));
    }
    start_keeper(std::move(socket), std::move(request), minutes);
  }

  void start_keeper(OwnedFd socket, Message request, int minutes) {
    auto ends = make_socket_pair();
    OwnedFd here = std::move(ends.first);
    const OwnedFd there = std::move(ends.second);
    const pid_t parent = getpid();
    const pid_t process = fork();
    if (process < 0) return refuse(socket, Error(Errc::kInternal, "cannot start a process"));
    if (process == 0) {
      try {
        end_with_parent(parent, SIGKILL);
        _exit(run_keeper(keeping_, there.get(), request.descriptors[0].get(), request.texts[1]));
      } catch (...) {
        _exit(static_cast<int>(Errc::kInternal));
      }
    }
    keepers_.push_back({.process = process,
                        .control = std::move(here),
                        .idle_minutes = minutes,
                        .asker = std::move(socket),
                        .deadline = after(kUnlockTimeout)});
    had_keeper_ = true;
  }

  /// False when it says nothing more now.
  bool hear_keeper(KeeperProcess& keeper) {
    auto received = receive_message(keeper.control.get());
    if (received.how == Reception::kEnd) keeper.control.close();  // `reap` sees that it has ended
    if (received.how != Reception::kMessage) return false;
    const auto& texts = received.message.texts;
    if (texts[0] == "open") {
      opened(keeper, texts);
    } else if (texts[0] == "failed") {
      send_message(keeper.asker.get(), texts);
      keeper.asker.close();
    } else if (texts[0] == "began") {
      ++keeper.commands;
      idle_.stop();
    } else if (texts[0] == "ended") {
      --keeper.commands;
      wait_for_commands();
    }
    return true;
  }

  void wait_for_commands() {
    const auto runs_one = [](const KeeperProcess& k) { return k.commands > 0; };
    if (open_keeper() && std::ranges::none_of(keepers_, runs_one)) idle_.start(idle_minutes_);
  }

  /// The one that was open before forgets its key, and ends after its last command.
  void opened(KeeperProcess& keeper, const std::vector<std::string>& texts) {
    std::vector<std::string> answer = {"open", std::to_string(keeper.idle_minutes)};
    answer.insert(answer.end(), texts.begin() + 1, texts.end());
    const bool is_wanted = !keeper.is_over && send_message(keeper.asker.get(), answer);
    keeper.asker.close();
    if (!is_wanted) return signal_keeper(keeper, SIGTERM);  // whoever unlocked it has gone away meanwhile
    if (auto* former = open_keeper()) {
      send_message(former->control.get(), {"retire"});
      former->is_retired = true;
    }
    keeper.is_open = true;
    idle_minutes_ = keeper.idle_minutes;
    wait_for_commands();
    report("unlocked; locks after " + std::to_string(idle_minutes_) + " minutes without a command");
    sd_notify(0, "STATUS=unlocked");
  }

  // Locking

  /// Ends all keepers and what runs in their sessions. Returns whether a key was held.
  bool lock(const std::string& reason, int grace_ms) {
    const bool was_unlocked = std::ranges::any_of(keepers_, [](const KeeperProcess& k) { return k.is_open; });
    signal_all(SIGTERM);
    if (!wait_for_end(grace_ms)) {
      signal_all(SIGKILL);
      wait_for_end(kPatienceWithKilled);
    }
    for (const auto& keeper : keepers_)
      if (keeper.asker) send_message(keeper.asker.get(), {"locked"});
    keepers_.clear();
    for (auto* trigger : triggers_) trigger->locked();
    if (was_unlocked) report("locked: " + reason);
    end_if_idle();
    sd_notify(0, "STATUS=locked");
    return was_unlocked;
  }

  void signal_all(int signal) const {
    for (const auto& keeper : keepers_) signal_keeper(keeper, signal);
  }

  /// False when somebody is left after that time.
  bool wait_for_end(int timeout_ms) {
    const auto deadline = after(timeout_ms);
    while (true) {
      bool any_left = false;
      for (auto& keeper : keepers_) any_left |= is_left(keeper);
      if (!any_left) return true;
      if (Clock::now() >= deadline) return false;
      pollfd wait = {signals_.descriptor(), POLLIN, 0};
      poll(&wait, 1, 1);
      if (wait.revents == 0) continue;
      if (const auto demand = signals_.check()) ended_ |= demand->kind == Demand::Kind::kEnd;
    }
  }

  /// Nothing waits here for anybody: keys out of memory, then the disk.
  void destroy(const Demand& demand) {
    lock(demand.reason, kGraceBeforeDestroying);
    end_sessions(settings_.folder, 0);
    ended_ = true;
    status_ = static_cast<int>(Errc::kDestroyed);
    const auto tell_stage = [&](const DestroyReceipt& receipt) {
      report(std::string("destroying: ") + std::string(to_string(receipt.stage)));
      tell(demand, to_string(receipt.stage),
           {{"not_reached", receipt.not_reached}, {"cannot_promise", receipt.cannot_promise}});
    };
    const auto last = destroy_vault(settings_.folder, settings_.environment, demand.order, tell_stage);
    try {
      Vault::open(settings_.folder, settings_.environment);
    } catch (const Error&) {
      tell(demand, "reopening-failed");
    }
    watcher_.finish(kPatienceWithWatcher);
    forget_machine_after(last);
  }

  void forget_machine_after(const DestroyReceipt& last) const {
    try {
      if (forget_machine(last, settings_.environment)) report("the key of this machine was removed");
    } catch (const Error& error) {
      report(std::string("the key of this machine was NOT removed: ") + error.what());
    }
  }

  void tell(const Demand& demand, std::string_view stage, nlohmann::json more = nlohmann::json::object()) {
    more["order"] = demand.order;
    more["stage"] = stage;
    more["time"] = settings_.environment.now_ms();
    watcher_.tell(as_line(more));
  }

  // Tidying up

  void reap() {
    for (auto keeper = keepers_.begin(); keeper != keepers_.end();) {
      keeper = is_left(*keeper) ? std::next(keeper) : forget(keeper);
    }
    if (watcher_.has_ended()) watcher_.ended();
  }

  std::list<KeeperProcess>::iterator forget(std::list<KeeperProcess>::iterator keeper) {
    while (keeper->control && hear_keeper(*keeper)) {  // why it has ended may still be unread
    }
    if (keeper->asker) send_message(keeper->asker.get(), {"locked"});
    if (keeper->is_open && !keeper->is_retired) report("locked: the keeper ended");
    const auto next = keepers_.erase(keeper);
    wait_for_commands();
    return next;
  }

  void drop_late() {
    const auto now = Clock::now();
    connections_.remove_if([&](const Connection& c) { return c.deadline <= now; });
    for (const auto& keeper : keepers_)
      if (!keeper.is_open && keeper.deadline <= now) signal_keeper(keeper, SIGKILL);
  }

  /// Only a guard that `unlock` started: it is of no use without a key.
  void end_if_idle() {
    if (!settings_.ends_when_locked || !keepers_.empty()) return;
    if (Clock::now() >= end_of_patience()) ended_ = true;
  }

  /// Of a guard without a key: for the first one, or for what else comes of an order that locked it.
  Clock::time_point end_of_patience() const { return had_keeper_ ? stays_until_ : first_deadline_; }

  const GuardSettings& settings_;
  Keeping keeping_;
  Listener listener_;
  Signals signals_;
  IdleTimer idle_;
  Logind logind_;
  Watcher watcher_;
  std::optional<UsbKey> usb_key_;
  std::vector<Trigger*> triggers_;
  std::list<Connection> connections_;
  std::list<KeeperProcess> keepers_;
  int idle_minutes_ = 0;
  Clock::time_point first_deadline_ = after(kFirstUnlockTimeout);
  Clock::time_point stays_until_ = Clock::now();
  bool had_keeper_ = false;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace

int run_guard(const GuardSettings& settings) { return Guard(settings).serve(); }

}  // namespace casevault
