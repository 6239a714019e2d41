#include "crypto/buffered_source.h"

#include <algorithm>

#include "crypto/error.h"

namespace casevault {

Source source_of(ByteView bytes) {
  return [bytes](std::span<std::byte> out) mutable {
    const std::size_t size = std::min(out.size(), bytes.size());
    copy_bytes(bytes.first(size), out);
    bytes = bytes.subspan(size);
    return size;
  };
}

BufferedSource::BufferedSource(Source source, std::size_t capacity) : source_(std::move(source)), buffer_(capacity) {}

// Asks the source once; false at its end, after which it is not asked again. Moves what is unread: views into the
// buffer end here.
bool BufferedSource::fill() {
  if (source_ended_) return false;
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == buffer_.size()) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), buffer_.end(), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  const auto room = std::span(buffer_).subspan(end_);
  require(!room.empty(), "buffered source: more asked for than it can hold");
  end_ += ask(room);
  return !source_ended_;
}

std::size_t BufferedSource::ask(std::span<std::byte> room) {
  const std::size_t size = source_(room);
  require(size <= room.size(), "buffered source: the source gave more than was asked for");
  source_ended_ = size == 0;
  return size;
}

ByteView BufferedSource::take(std::size_t size) {
  while (unread().size() < size && fill()) {
  }
  const ByteView taken = unread().first(std::min(size, unread().size()));
  begin_ += taken.size();
  return taken;
}

std::size_t BufferedSource::read(std::span<std::byte> out) {
  if (unread().empty()) return source_ended_ || out.empty() ? 0 : ask(out);  // straight to where it is wanted
  const ByteView taken = take(std::min(out.size(), unread().size()));
  copy_bytes(taken, out);
  return taken.size();
}

std::optional<std::byte> BufferedSource::peek() {
  if (unread().empty() && !fill()) return std::nullopt;
  return unread().front();
}

std::optional<BufferedSource::Line> BufferedSource::take_line(std::size_t max_size) {
  while (true) {
    const std::string_view seen = as_text(unread()).substr(0, max_size + 1);
    if (const std::size_t end = seen.find('\n'); end != std::string_view::npos) {
      begin_ += end + 1;
      return Line{seen.substr(0, end), true};
    }
    if (seen.size() > max_size) return std::nullopt;
    if (!fill()) return Line{as_text(take(unread().size())), false};
  }
}

}  // namespace casevault
