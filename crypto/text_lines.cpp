#include "crypto/text_lines.h"

#include <charconv>

namespace casevault {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

bool is_continuation(unsigned byte) { return (byte & 0xC0) == 0x80; }

// Whether `second` may follow `lead`, where not every continuation byte may.
bool is_allowed_after(unsigned lead, unsigned second) {
  if (lead == 0xE0) return second >= 0xA0;  // else overlong
  if (lead == 0xED) return second < 0xA0;   // else a surrogate
  if (lead == 0xF0) return second >= 0x90;  // else overlong
  if (lead == 0xF4) return second < 0x90;   // else above U+10FFFF
  return true;
}

// Bytes of the character at the start; 0 where there is none. @pre !text.empty()
std::size_t character_size(std::string_view text) {
  const unsigned lead = byte_at(text, 0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() < size || !is_allowed_after(lead, byte_at(text, 1))) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_continuation(byte_at(text, i))) return 0;
  }
  return size;
}

}  // namespace

std::optional<std::string_view> LineReader::next() {
  const auto end = rest_.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const auto line = rest_.substr(0, end);
  rest_.remove_prefix(end + 1);
  return line;
}

std::optional<std::string_view> LineReader::next_after(std::string_view prefix) {
  if (!rest_.starts_with(prefix)) return std::nullopt;
  auto line = next();
  if (line) line->remove_prefix(prefix.size());
  return line;
}

std::optional<std::uint64_t> from_decimal(std::string_view text) {
  if (text.empty() || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_well_formed_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto size = character_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace casevault
