#include "vault/replica/child_program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "crypto/error.h"
#include "vault/raid/owned_fd.h"
#include "vault/raid/processes.h"

namespace casevault {
namespace {

constexpr int kLookEveryMs = 200;  // whether somebody pressed Ctrl-C
constexpr int kCannotStart = 127;
constexpr int kBySignal = 128;
constexpr std::size_t kMaxLine = 1u << 16;

struct Pipe {
  OwnedFd read_end;
  OwnedFd write_end;
  static Pipe make() {
    std::array<int, 2> ends{};
    require(::pipe2(ends.data(), O_CLOEXEC) == 0, "cannot make a pipe");
    return {OwnedFd(ends[0]), OwnedFd(ends[1])};
  }
};

void make_nonblocking(const OwnedFd& descriptor) { ::fcntl(descriptor.get(), F_SETFL, O_NONBLOCK); }

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// A program under way: fed and read until it has ended.
class Running {
 public:
  Running(const ChildProgram& program, const ChildOutput& output) : input_(program.input), output_(output) {
    auto in = Pipe::make();
    auto out = Pipe::make();
    auto err = Pipe::make();
    start(program, in.read_end.get(), out.write_end.get(), err.write_end.get());
    to_ = std::move(in.write_end);
    from_out_ = std::move(out.read_end);
    from_err_ = std::move(err.read_end);
    for (const auto* end : {&to_, &from_out_, &from_err_}) make_nonblocking(*end);
  }
  ~Running() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    wait();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  int finish(const Environment& environment) {
    while (from_out_.get() >= 0 || from_err_.get() >= 0) {
      stop_if_interrupted(environment);
      std::array<pollfd, 3> waits = {
          {{to_.get(), POLLOUT, 0}, {from_out_.get(), POLLIN, 0}, {from_err_.get(), POLLIN, 0}}};
      if (::poll(waits.data(), waits.size(), kLookEveryMs) <= 0) continue;
      if (waits[0].revents != 0) feed();
      if (waits[1].revents != 0) take(from_out_, [&](ByteView data) { output_.out(data); });
      if (waits[2].revents != 0) take(from_err_, [&](ByteView data) { take_lines(as_text(data)); });
    }
    return wait();
  }

 private:
  void start(const ChildProgram& program, int in, int out, int err) {
    auto words = program.words;
    std::vector<std::string> settings;
    for (const auto& [name, value] : program.variables) settings.push_back(name + "=" + value);
    const auto arguments = pointers_to(words);
    const auto environment = pointers_to(settings);
    const pid_t parent = ::getpid();
    process_ = ::fork();
    require(process_ >= 0, "cannot start a process");
    if (process_ > 0) return;
    try {
      end_with_parent(parent, SIGKILL);
      reset_signals();
      arrange_descriptors({{STDIN_FILENO, in}, {STDOUT_FILENO, out}, {STDERR_FILENO, err}});
      ::signal(SIGPIPE, SIG_DFL);
      ::execve(arguments[0], arguments.data(), environment.data());
    } catch (...) {
      // In the child there is nobody to tell but by the exit status.
    }
    ::_exit(kCannotStart);
  }

  void feed() {
    const auto rest = std::string_view(input_).substr(fed_);
    const auto count = rest.empty() ? 0 : ::write(to_.get(), rest.data(), rest.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count > 0) fed_ += static_cast<std::size_t>(count);
    if (count < 0 || fed_ == input_.size()) to_ = OwnedFd();
  }

  template <typename Give>
  void take(OwnedFd& from, const Give& give) {
    std::array<std::byte, 1u << 16> block{};
    const auto count = ::read(from.get(), block.data(), block.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count > 0) return give(ByteView(block).first(static_cast<std::size_t>(count)));
    from = OwnedFd();
  }

  void take_lines(std::string_view data) {
    for (const char c : data) {
      if (c != '\n' && line_.size() < kMaxLine) line_ += c;
      if (c != '\n') continue;
      output_.err(line_);
      line_.clear();
    }
  }

  int wait() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : kBySignal + WTERMSIG(status);
  }

  const std::string& input_;
  const ChildOutput& output_;
  std::size_t fed_ = 0;
  std::string line_;
  pid_t process_ = 0;
  OwnedFd to_;
  OwnedFd from_out_;
  OwnedFd from_err_;
};

}  // namespace

int run_program(const ChildProgram& program, const ChildOutput& output, const Environment& environment) {
  const int status = Running(program, output).finish(environment);
  if (status == kCannotStart) throw Error(Errc::kInternal, "cannot run " + program.words.front());
  return status;
}

std::string find_program(std::string_view name, std::string_view search_path) {
  while (!search_path.empty()) {
    const auto folder = search_path.substr(0, search_path.find(':'));
    search_path.remove_prefix(std::min(search_path.size(), folder.size() + 1));
    if (folder.empty() || folder.front() != '/') continue;
    const auto path = std::string(folder) + "/" + std::string(name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

}  // namespace casevault
