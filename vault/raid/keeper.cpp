#include "vault/raid/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <optional>

#include "vault/custody/witness.h"
#include "vault/raid/processes.h"
#include "vault/raid/secret_pipe.h"

namespace casevault {
namespace {

constexpr int kPassphraseTimeoutMs = 5'000;
constexpr std::size_t kMaxDetails = 4u << 20;  // bytes: what exec(2) takes is less
constexpr std::size_t kMaxWords = 1u << 20;
constexpr int kMaxNumber = 1 << 16;
constexpr std::size_t kMaxCommands = 32;
constexpr auto kWitnessEvery = std::chrono::hours(1);
constexpr int kBySignal = 128;  // and its number: the exit status of what a signal ended, or interrupted

/// While the key is made there is nothing to wipe that is not gone with the process.
extern "C" void end_at_once(int) { _exit(0); }

void let_term_end_at_once() {
  struct sigaction action = {};
  action.sa_handler = end_at_once;
  sigaction(SIGTERM, &action, nullptr);
}

OwnedFd signals_of_keeper() {
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, SIGTERM);
  sigaddset(&ours, SIGCHLD);
  require(sigprocmask(SIG_BLOCK, &ours, nullptr) == 0, "cannot block signals");
  OwnedFd signals(signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
  require(signals.get() >= 0, "cannot wait for signals");
  return signals;
}

/// Forks, and in the child ends with the status that `body` returns, whatever happens. Returns the child.
template <typename Body>
pid_t fork_to(const Body& body) {
  const pid_t parent = getpid();
  const pid_t child = fork();
  require(child >= 0, "cannot start a process");
  if (child > 0) return child;
  try {
    end_with_parent(parent, SIGKILL);
    reset_signals();
    _exit(body());
  } catch (...) {
    _exit(static_cast<int>(Errc::kInternal));
  }
}

std::vector<std::string> failure_of(const Error& error) {
  return {"failed", std::to_string(static_cast<int>(error.code())), error.what(), error.hint()};
}

/// Opens the vault once, in a process that ends: what it decrypts must not stay in the keeper's memory.
std::vector<std::string> prove(const Keeping& keeping, SlotAccess& access) {
  auto [here, there] = make_socket_pair();
  const int answer = there.get();
  const pid_t prover = fork_to([&] {
    try {
      auto vault = Vault::open(keeping.folder, keeping.environment);
      const auto custody = access.custody_epoch;
      const Session session = vault.unlock(access);
      std::vector<std::string> texts = {access.custody_epoch == custody ? "open" : "resealed"};
      texts.insert(texts.end(), session.warnings().begin(), session.warnings().end());
      send_message(answer, texts);
    } catch (const Error& error) {
      send_message(answer, failure_of(error));
    }
    return 0;
  });
  there.close();
  auto received = await_message(here.get(), -1);
  waitpid(prover, nullptr, 0);
  if (received.how == Reception::kMessage) return std::move(received.message.texts);
  return failure_of(Error(Errc::kInternal, "opening the vault ended without an answer"));
}

int exit_status(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : kBySignal + WTERMSIG(wait_status);
}

std::optional<std::vector<int>> parse_numbers(std::span<const std::string> texts) {
  std::vector<int> numbers;
  for (const auto& text : texts) {
    int number = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_new = std::ranges::find(numbers, number) == numbers.end();
    if (error != std::errc() || end != text.data() + text.size() || number < 0 || number > kMaxNumber || !is_new)
      return std::nullopt;
    numbers.push_back(number);
  }
  return numbers;
}

std::vector<std::string> read_details(int descriptor) {
  Bytes content(kMaxDetails);
  const ssize_t size = pread(descriptor, content.data(), content.size(), 0);
  auto texts =
      size > 0 ? decode_texts(ByteView(content).first(static_cast<std::size_t>(size)), kMaxWords) : std::nullopt;
  if (!texts) throw Error(Errc::kUsage, "the command came damaged");
  return std::move(*texts);
}

/// One command as it came: "run" user has-terminal number…
struct Request {
  std::string user;
  bool has_terminal = false;
  std::vector<int> numbers;
  std::vector<OwnedFd> descriptors;  // connection, details, folder, [terminal], one per number
  const OwnedFd& connection() const { return descriptors[0]; }

  static std::optional<Request> parse(Message message) {
    if (message.texts.size() < 3 || message.texts[0] != "run") return std::nullopt;
    Request request{message.texts[1], message.texts[2] == "terminal", {}, std::move(message.descriptors)};
    auto numbers = parse_numbers(std::span(message.texts).subspan(3));
    if (!numbers || request.descriptors.size() != 3 + (request.has_terminal ? 1 : 0) + numbers->size())
      return std::nullopt;
    request.numbers = std::move(*numbers);
    return request;
  }
};

/// In the process of the command. The details are: number of words, words, then names and values of variables.
GuardedCommand take_place_of(const Request& request) {
  auto texts = read_details(request.descriptors[1].get());
  std::size_t words = 0;
  std::from_chars(texts[0].data(), texts[0].data() + texts[0].size(), words);
  if (words > texts.size() - 1 || (texts.size() - 1 - words) % 2 != 0)
    throw Error(Errc::kUsage, "the command came damaged");
  GuardedCommand command;
  const auto first_variable = texts.begin() + 1 + static_cast<std::ptrdiff_t>(words);
  command.words.assign(texts.begin() + 1, first_variable);
  for (auto at = first_variable; at != texts.end(); at += 2) command.variables[*at] = *(at + 1);

  require(fchdir(request.descriptors[2].get()) == 0, "cannot go to the folder of the command");
  std::map<int, int> wanted;
  const std::size_t first = request.has_terminal ? 4 : 3;
  for (std::size_t i = 0; i < request.numbers.size(); ++i)
    wanted[request.numbers[i]] = request.descriptors[first + i].get();
  if (request.has_terminal) {
    command.terminal = wanted.empty() ? 3 : std::max(wanted.rbegin()->first + 1, 3);
    wanted[command.terminal] = request.descriptors[3].get();
  }
  arrange_descriptors(wanted);
  return command;
}

class Keeper {
 public:
  Keeper(const Keeping& keeping, int control, SlotAccess access, OwnedFd signals)
      : keeping_(keeping), control_(control), access_(std::move(access)), signals_(std::move(signals)) {}

  void serve() {
    while (!ended_ && (access_ || !commands_.empty())) {
      bring_to_witnesses();
      auto waits = waits_for();
      if (poll(waits.data(), waits.size(), milliseconds_to_witnessing()) <= 0) continue;
      if (waits[0].revents != 0) hear_guard();
      if (waits[1].revents != 0) hear_signals();
      for (std::size_t i = 2; i < waits.size(); ++i) {
        if (waits[i].revents != 0) hear_client(waits[i].fd);
      }
    }
  }

 private:
  struct Command {
    pid_t process;
    OwnedFd connection;
  };

  std::vector<pollfd> waits_for() const {
    std::vector<pollfd> waits = {{control_, POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    for (const auto& command : commands_) waits.push_back({command.connection.get(), POLLIN, 0});
    return waits;
  }

  void hear_guard() {
    auto received = receive_message(control_);
    if (received.how == Reception::kEnd) ended_ = true;
    if (received.how != Reception::kMessage) return;
    if (received.message.texts[0] == "retire") {
      access_.reset();
    } else if (auto request = Request::parse(std::move(received.message))) {
      begin(std::move(*request));
    }
  }

  void begin(Request request) {
    if (!access_ || request.user != access_->user || commands_.size() >= kMaxCommands) {
      send_message(request.connection().get(), {"locked"});
      return;
    }
    const pid_t process = fork_to([&] { return keeping_.run(take_place_of(request), *access_); });
    commands_.push_back({process, std::move(request.descriptors[0])});
    send_message(control_, {"began"});
  }

  /// In a process of its own, as all that opens the vault; nobody waits for it. What it does is an entry in the log
  /// too: what counts is whether others came since.
  void bring_to_witnesses() {
    if (!access_ || witness_ > 0 || Clock::now() < witness_at_) return;
    witness_at_ = Clock::now() + kWitnessEvery;
    if (is_without_custody() || log_size() == witnessed_log_size_) return;
    witness_ = fork_to([&] {
      auto vault = Vault::open(keeping_.folder, keeping_.environment);
      auto session = vault.unlock(*access_);
      witness_quietly(session);
      return 0;
    });
  }

  int milliseconds_to_witnessing() const {
    if (!access_ || witness_ > 0) return -1;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(witness_at_ - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left + 1, 0, 3'600'000));
  }

  bool is_without_custody() const {
    try {
      return Vault::open(keeping_.folder, keeping_.environment).header().custody.empty();
    } catch (const Error&) {
      return true;
    }
  }

  std::uintmax_t log_size() const {
    std::error_code error;
    return std::filesystem::file_size(keeping_.folder / "audit" / "log", error);
  }

  /// SIGTERM comes to the commands, too: the key goes now, and the keeper when they have ended.
  void hear_signals() {
    signalfd_siginfo signal = {};
    while (read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
      if (signal.ssi_signo != SIGTERM) continue;
      access_.reset();
      is_locked_ = true;
    }
    int status = 0;
    for (pid_t process = 0; (process = waitpid(-1, &status, WNOHANG)) > 0;) finish(process, exit_status(status));
  }

  /// To a command that locking has ended there is no answer, which tells its client why.
  void finish(pid_t process, int status) {
    if (process == witness_) {
      witness_ = -1;
      if (status == 0) witnessed_log_size_ = log_size();
      return;
    }
    const auto command = std::ranges::find(commands_, process, &Command::process);
    if (command == commands_.end()) return;
    const bool was_ended = is_locked_ && status >= kBySignal;
    if (!was_ended) send_message(command->connection.get(), {"status", std::to_string(status)});
    commands_.erase(command);
    send_message(control_, {"ended"});
  }

  /// Whoever gave the command asks to interrupt it, or is gone.
  void hear_client(int connection) {
    const auto command =
        std::ranges::find_if(commands_, [&](const Command& c) { return c.connection.get() == connection; });
    if (command == commands_.end()) return;
    const auto received = receive_message(connection);
    if (received.how == Reception::kNothingYet) return;
    if (received.how == Reception::kMessage && received.message.texts[0] == "interrupt") {
      kill(command->process, SIGINT);
      return;
    }
    kill(command->process, SIGHUP);
    command->connection.close();
  }

  const Keeping& keeping_;
  int control_;
  std::optional<SlotAccess> access_;
  OwnedFd signals_;
  std::vector<Command> commands_;
  bool is_locked_ = false;
  bool ended_ = false;  // the guard is gone
  using Clock = std::chrono::steady_clock;
  Clock::time_point witness_at_;  // at once, to begin with
  pid_t witness_ = -1;
  std::uintmax_t witnessed_log_size_ = 0;  // bytes of the log when it had been brought to the witnesses
};

constexpr int kControl = 3;
constexpr int kPassphrase = 4;

/// A session of its own, and no descriptor of the guard's but these two.
void become_keeper(int control, int passphrase) {
  require(setsid() >= 0, "cannot begin a session");
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  require(null >= 0, "cannot open /dev/null");
  arrange_descriptors({{0, null}, {1, null}, {2, null}, {kControl, control}, {kPassphrase, passphrase}});
}

}  // namespace

int run_keeper(const Keeping& keeping, int control, int passphrase, const std::string& user) {
  reset_signals();
  let_term_end_at_once();
  become_keeper(control, passphrase);
  std::optional<SlotAccess> access;
  std::vector<std::string> answer;
  try {
    const OwnedFd pipe(kPassphrase);
    const auto passphrase_text = read_secret(pipe.get(), kPassphraseTimeoutMs);
    const auto open = [&] {
      access = Vault::open(keeping.folder, keeping.environment).slot_access(user, passphrase_text);
      return prove(keeping, *access);
    };
    answer = open();
    if (answer[0] == "resealed") answer = open();  // the prover has the new key, and is gone
    access->stretched.reset();
  } catch (const Error& error) {
    answer = failure_of(error);
  }
  if (answer[0] != "open") {
    send_message(kControl, answer);
    return 1;
  }
  Keeper keeper(keeping, kControl, std::move(*access), signals_of_keeper());
  access.reset();
  send_message(kControl, answer);
  keeper.serve();
  return 0;
}

}  // namespace casevault
