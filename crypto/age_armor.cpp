#include "crypto/age_armor.h"

#include <algorithm>

#include "crypto/encoding.h"

namespace casevault {
namespace {

constexpr std::string_view kFirstLine = "-----BEGIN AGE ENCRYPTED FILE-----";
constexpr std::string_view kLastLine = "-----END AGE ENCRYPTED FILE-----";
constexpr std::size_t kColumns = 64;
constexpr std::size_t kLineSize = 48;         // bytes that fill the columns
constexpr std::size_t kMaxWhiteSpace = 1024;  // bytes
constexpr std::size_t kBufferSize = 1u << 16;
constexpr std::size_t kLinesAtOnce = 1024;

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kForeign = 0xff;

constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kForeign);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) values[static_cast<unsigned char>(kAlphabet[i])] = i & 63;
  return values;
}();

// Full lines are coded here, by table: libsodium's constant time is ten times as slow, and what is armored is sealed.

void encode_full_line(ByteView bytes, char* out) {
  for (std::size_t i = 0; i < kLineSize; i += 3) {
    const auto at = [&](std::size_t j) { return std::to_integer<std::uint32_t>(bytes[i + j]); };
    const std::uint32_t group = at(0) << 16 | at(1) << 8 | at(2);
    for (int shift = 18; shift >= 0; shift -= 6) *out++ = kAlphabet[group >> shift & 63];
  }
}

// False when a character is foreign, padding too; then `out` is anything.
bool decode_full_line(ByteView text, std::span<std::byte> out) {
  std::uint32_t seen = 0;
  for (std::size_t i = 0, j = 0; i < kColumns; i += 4, j += 3) {
    const auto at = [&](std::size_t k) -> std::uint32_t { return kValues[std::to_integer<unsigned>(text[i + k])]; };
    const std::uint32_t a = at(0), b = at(1), c = at(2), d = at(3);
    seen |= a | b | c | d;
    const std::uint32_t group = a << 18 | b << 12 | c << 6 | d;
    out[j] = static_cast<std::byte>(group >> 16);
    out[j + 1] = static_cast<std::byte>(group >> 8);
    out[j + 2] = static_cast<std::byte>(group);
  }
  return seen < 64;
}

[[noreturn]] void fail(const std::string& what) { throw AgeError(AgeFault::kArmor, "armor: " + what); }

bool is_white_space(std::byte b) {
  return std::string_view(" \t\r\n\v\f").find(static_cast<char>(b)) != std::string_view::npos;
}

// The last byte of the white space that was skipped, or LF when there was none.
std::byte skip_white_space(BufferedSource& input) {
  std::byte last{'\n'};
  std::size_t count = 0;
  for (auto next = input.peek(); next && is_white_space(*next); next = input.peek()) {
    if (++count > kMaxWhiteSpace) fail("too much white space around it");
    last = input.take(1).front();
  }
  return last;
}

std::variant<BufferedSource, AgeArmorReader> detect(BufferedSource input) {
  const auto first = input.peek();
  if (first && (*first == std::byte{'-'} || is_white_space(*first))) return AgeArmorReader(std::move(input));
  return input;
}

}  // namespace

AgeArmorWriter::AgeArmorWriter(Sink sink) : sink_(std::move(sink)) {
  (text_ += kFirstLine) += '\n';
  flush();
}

void AgeArmorWriter::append_line(ByteView bytes) { (text_ += to_base64(bytes)) += '\n'; }

// @pre a multiple of kLineSize bytes
void AgeArmorWriter::append_full_lines(ByteView bytes) {
  while (!bytes.empty()) {
    const ByteView some = bytes.first(std::min(bytes.size(), kLinesAtOnce * kLineSize));
    const std::size_t begin = text_.size();
    text_.resize(begin + some.size() / kLineSize * (kColumns + 1), '\n');
    char* line = text_.data() + begin;
    for (std::size_t at = 0; at < some.size(); at += kLineSize, line += kColumns + 1) {
      encode_full_line(some.subspan(at, kLineSize), line);
    }
    flush();
    bytes = bytes.subspan(some.size());
  }
}

// No more is written once the sink has thrown.
void AgeArmorWriter::flush() {
  open_ = false;
  sink_(as_bytes(text_));
  open_ = true;
  text_.clear();
}

void AgeArmorWriter::write(ByteView bytes) {
  require(open_, "age: armor written to after its end, or after a failure");
  if (!rest_.empty()) {
    const std::size_t size = std::min(bytes.size(), kLineSize - rest_.size());
    rest_.insert(rest_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    bytes = bytes.subspan(size);
    if (rest_.size() < kLineSize) return;
    append_line(rest_);
    rest_.clear();
  }
  const std::size_t whole = bytes.size() / kLineSize * kLineSize;
  append_full_lines(bytes.first(whole));
  bytes = bytes.subspan(whole);
  rest_.assign(bytes.begin(), bytes.end());
}

void AgeArmorWriter::finish() {
  require(open_, "age: armor finished twice, or after a failure");
  if (!rest_.empty()) append_line(rest_);
  (text_ += kLastLine) += '\n';
  flush();
  open_ = false;
}

AgeArmorReader::AgeArmorReader(Source source) : input_(std::move(source), kBufferSize) {}

std::size_t AgeArmorReader::read(std::span<std::byte> out) {
  require(!broken_, "age: armor read after a failure");
  if (out.empty()) return 0;
  broken_ = true;  // until this call has gone well
  if (!begun_) begin();
  std::size_t size = line_begin_ == line_.size() ? read_full_lines(out) : 0;
  if (size == 0) {
    if (line_begin_ == line_.size() && !ended_) decode_line();
    size = std::min(out.size(), line_.size() - line_begin_);
    std::ranges::copy(ByteView(line_).subspan(line_begin_, size), out.begin());
    line_begin_ += size;
  }
  broken_ = false;
  return size;
}

// Without LF or CRLF; the last line of the input may go without.
std::string_view AgeArmorReader::next_line() {
  const auto line = input_.take_line(kColumns + 1);
  if (!line) fail("a line is too long");
  if (line->text.empty() && !line->ended) fail("it is cut off");
  std::string_view text = line->text;
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

void AgeArmorReader::begin() {
  if (skip_white_space(input_) != std::byte{'\n'} || next_line() != kFirstLine) {
    fail("it does not begin with " + std::string(kFirstLine));
  }
  begun_ = true;
}

// Those full lines that are at hand, sound, and fit; whatever else comes is left to decode_line.
std::size_t AgeArmorReader::read_full_lines(std::span<std::byte> out) {
  if (short_line_seen_ || ended_) return 0;
  constexpr std::byte kLineFeed{'\n'};
  const ByteView text = input_.unread();
  std::size_t size = 0, at = 0;
  while (out.size() - size >= kLineSize && text.size() - at > kColumns && text[at + kColumns] == kLineFeed &&
         decode_full_line(text.subspan(at, kColumns), out.subspan(size, kLineSize))) {
    size += kLineSize;
    at += kColumns + 1;
  }
  input_.take(at);
  return size;
}

// Every line is full but the last; only an empty armor has none.
void AgeArmorReader::decode_line() {
  line_.clear();
  line_begin_ = 0;
  const std::string_view text = next_line();
  if (text == kLastLine) return end();
  if (short_line_seen_) fail("it does not end with " + std::string(kLastLine));
  auto bytes = from_base64(text);
  if (!bytes || bytes->empty() || text.size() > kColumns) fail("a line is not base64");
  short_line_seen_ = bytes->size() < kLineSize;
  line_ = std::move(*bytes);
}

void AgeArmorReader::end() {
  skip_white_space(input_);
  if (!input_.at_end()) fail("something follows its end");
  ended_ = true;
}

AgeInput::AgeInput(Source source) : input_(detect(BufferedSource(std::move(source), kBufferSize))) {}

std::size_t AgeInput::read(std::span<std::byte> out) {
  return std::visit([&](auto& input) { return input.read(out); }, input_);
}

}  // namespace casevault
