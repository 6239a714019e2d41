#include "cli/terminal.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "cli/descriptor.h"
#include "cli/passphrase.h"
#include "crypto/error.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxAnswer = 1024;  // bytes

/// Echo is off while this exists; what was typed ahead is thrown away, and the keys that would stop the program with
/// echo off are too.
class WithoutEcho {
 public:
  explicit WithoutEcho(int descriptor) : descriptor_(descriptor) {
    require(tcgetattr(descriptor, &before_) == 0, "cannot read the terminal's settings");
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ECHONL | ICANON | ISIG;
    quiet.c_cc[VSUSP] = _POSIX_VDISABLE;
    quiet.c_cc[VQUIT] = _POSIX_VDISABLE;
    require(tcsetattr(descriptor, TCSAFLUSH, &quiet) == 0, "cannot switch the terminal's echo off");
  }
  WithoutEcho(const WithoutEcho&) = delete;
  WithoutEcho& operator=(const WithoutEcho&) = delete;
  ~WithoutEcho() { tcsetattr(descriptor_, TCSAFLUSH, &before_); }

 private:
  int descriptor_;
  termios before_{};
};

}  // namespace

std::optional<Terminal> Terminal::open(const std::string& path, std::function<bool()> interrupted) {
  if (path.empty()) return std::nullopt;
  // A terminal that was handed over is used as it is: it need not be the one that /dev/tty is to this process.
  const auto handed_over = descriptor_named(path);
  const int descriptor =
      handed_over ? fcntl(*handed_over, F_DUPFD_CLOEXEC, 0) : ::open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0) return std::nullopt;
  return Terminal(descriptor, std::move(interrupted));
}

Terminal::Terminal(Terminal&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), interrupted_(std::move(other.interrupted_)) {}

Terminal::~Terminal() {
  if (descriptor_ >= 0) close(descriptor_);
}

void Terminal::show(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR && !interrupted_()) continue;
    if (written < 0) return;  // a terminal that went away: the read that follows will say so
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

SecretBytes Terminal::read_line(std::size_t max_bytes) {
  try {
    return read_secret_line(descriptor_, max_bytes, interrupted_);
  } catch (const Error&) {
    show("\n");  // what is said about it begins a new line
    throw;
  }
}

std::string Terminal::ask(std::string_view question, TypedAhead typed_ahead) {
  if (typed_ahead == TypedAhead::kDropped) tcflush(descriptor_, TCIFLUSH);
  show(question);
  const SecretBytes line = read_line(kMaxAnswer);
  return std::string(as_text(line.expose_secret()));
}

SecretBytes Terminal::ask_secret(std::string_view question) {
  const WithoutEcho quiet(descriptor_);
  show(question);
  return read_line(kMaxPassphraseSize);
}

SecretBytes read_secret_line(int descriptor, std::size_t max_bytes, const std::function<bool()>& interrupted) {
  SecretBytes line(max_bytes + 1);
  std::size_t size = 0;
  while (size <= max_bytes) {
    // Byte by byte: what stands behind the line belongs to somebody else who reads the same descriptor.
    const auto next = line.expose_secret_for_writing().subspan(size, 1);
    if (read_descriptor(descriptor, next, interrupted) == 0) break;
    if (next[0] == std::byte{'\n'}) {
      next[0] = std::byte{0};
      break;
    }
    ++size;
  }
  if (size > max_bytes) {
    throw Error(Errc::kUsage, "the line is longer than " + std::to_string(max_bytes) + " bytes");
  }
  line.truncate(size);
  return line;
}

bool are_equal(const SecretBytes& a, const SecretBytes& b) {
  return equal_constant_time(a.expose_secret(), b.expose_secret());
}

}  // namespace casevault
