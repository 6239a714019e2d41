#pragma once
#include <functional>
#include <optional>
#include <string_view>

#include "crypto/bytes.h"

namespace casevault {

/// Takes the next bytes of a stream. The view is good only during the call.
using Sink = std::function<void(ByteView)>;
/// Puts the next bytes of a stream at the start of the span and tells how many. 0 means the end, for a span that is not
/// empty.
using Source = std::function<std::size_t(std::span<std::byte>)>;

/// A source of bytes in memory, which must outlive it.
Source source_of(ByteView bytes);

/// Hands out the bytes of a Source in lines and blocks. Memory is its capacity, whatever the source does; it is not
/// wiped, so it is for sealed bytes. Throws what the source throws.
class BufferedSource {
 public:
  /// `capacity` in bytes: the longest block or line, and how much is asked of the source at once.
  BufferedSource(Source source, std::size_t capacity);

  /// The next `size` bytes, fewer only at the end. The view is good until the next call. @pre size <= capacity
  ByteView take(std::size_t size);
  /// As a Source: what there is, at most out.size(); waits only when there is nothing.
  std::size_t read(std::span<std::byte> out);
  /// The next byte, which stays. nullopt at the end.
  std::optional<std::byte> peek();
  bool at_end() { return !peek().has_value(); }
  /// What it holds at the moment, without asking the source. Good until the next call; `take` takes it.
  ByteView unread() const { return ByteView(buffer_).subspan(begin_, end_ - begin_); }

  struct Line {
    std::string_view text;  // without its LF; good until the next call
    bool ended = false;     // by an LF, not by the end of the source
  };
  /// nullopt when it is longer than `max_size` bytes; then nothing is taken. @pre max_size < capacity
  std::optional<Line> take_line(std::size_t max_size);

 private:
  bool fill();
  std::size_t ask(std::span<std::byte> room);

  Source source_;
  Bytes buffer_;
  std::size_t begin_ = 0, end_ = 0;
  bool source_ended_ = false;
};

}  // namespace casevault
