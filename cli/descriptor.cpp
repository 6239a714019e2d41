#include "cli/descriptor.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "crypto/error.h"

namespace casevault {
namespace {

constexpr std::size_t kBufferSize = 64u << 10;  // bytes
constexpr int kPollInterval = 200;  // milliseconds; a signal that comes just before the wait is noticed then

}  // namespace

std::optional<int> descriptor_named(std::string_view path) {
  if (path == "/dev/stdin") return STDIN_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(folder)) continue;
    const std::string_view digits = path.substr(folder.size());
    int number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc{} && end == digits.data() + digits.size() && number >= 0) return number;
  }
  return std::nullopt;
}

std::set<int> descriptors_named_in(const std::vector<std::string>& words) {
  std::set<int> named;
  for (std::string_view word : words) {
    if (word.starts_with("--")) {
      const auto equals = word.find('=');
      if (equals == word.npos) continue;
      word.remove_prefix(equals + 1);
    }
    if (const auto number = descriptor_named(word)) named.insert(*number);
  }
  return named;
}

std::size_t read_descriptor(int descriptor, std::span<std::byte> out, const std::function<bool()>& interrupted) {
  while (true) {
    if (interrupted()) throw Error(Errc::kInterrupted, "interrupted");
    pollfd wait = {descriptor, POLLIN, 0};
    const int ready = poll(&wait, 1, kPollInterval);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t got = read(descriptor, out.data(), out.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EINTR || errno == EAGAIN) continue;
    throw Error(errno == EISDIR ? Errc::kUsage : Errc::kInternal, std::string("cannot read: ") + std::strerror(errno));
  }
}

DescriptorBuffer::DescriptorBuffer(int descriptor, std::function<bool()> interrupted)
    : descriptor_(descriptor), interrupted_(std::move(interrupted)), buffer_(kBufferSize) {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

DescriptorBuffer::int_type DescriptorBuffer::overflow(int_type c) {
  if (!flush()) return traits_type::eof();
  if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
  return traits_type::not_eof(c);
}

int DescriptorBuffer::sync() { return flush() ? 0 : -1; }

std::streamsize DescriptorBuffer::xsputn(const char* data, std::streamsize size) {
  const auto length = static_cast<std::size_t>(size);
  if (length > static_cast<std::size_t>(epptr() - pptr()) && !flush()) return 0;
  if (length >= kBufferSize) return write_all(data, length) ? size : 0;
  std::memcpy(pptr(), data, length);
  pbump(static_cast<int>(length));
  return size;
}

bool DescriptorBuffer::flush() {
  const bool written = write_all(pbase(), static_cast<std::size_t>(pptr() - pbase()));
  setp(buffer_.data(), buffer_.data() + buffer_.size());  // after an error too: it would only fail again
  return written;
}

bool DescriptorBuffer::write_all(const char* data, std::size_t size) {
  while (error_ == 0 && size > 0) {
    const ssize_t written = write(descriptor_, data, size);
    if (written >= 0) {
      data += written;
      size -= static_cast<std::size_t>(written);
    } else if (errno == EAGAIN) {  // somebody shares this descriptor with us and made it non-blocking
      pollfd wait = {descriptor_, POLLOUT, 0};
      poll(&wait, 1, kPollInterval);
    } else if (errno != EINTR || interrupted_()) {
      error_ = errno;
    }
  }
  return error_ == 0;
}

}  // namespace casevault
