#pragma once
#include <string>
#include <variant>

#include "crypto/age_error.h"
#include "crypto/buffered_source.h"

namespace casevault {

// The ASCII armor of age (C2SP age.md, "ASCII armor"): strict PEM (RFC 7468 section 3, figure 3) with the label "AGE
// ENCRYPTED FILE", base64 in lines of 64. White space before and behind is let pass (at most 1024 bytes each), and CRLF
// for LF. The armor authenticates nothing. Memory does not depend on the size of the file.

/// Writes the first line at once.
class AgeArmorWriter {
 public:
  explicit AgeArmorWriter(Sink sink);
  void write(ByteView bytes);
  /// Writes what is left and the last line. @pre called once
  void finish();

 private:
  void append_line(ByteView bytes);
  void append_full_lines(ByteView bytes);
  void flush();

  Sink sink_;
  std::string text_;  // lines that were not given to the sink yet
  Bytes rest_;        // less than a line
  bool open_ = false;
};

/// Reads what is inside.
class AgeArmorReader {
 public:
  explicit AgeArmorReader(Source source);
  explicit AgeArmorReader(BufferedSource input) : input_(std::move(input)) {}
  /// As a Source: 0 only behind the last line, when nothing but white space is left. @throws AgeError{kArmor}; what the
  /// source throws. After that the reader cannot be used.
  std::size_t read(std::span<std::byte> out);

 private:
  std::string_view next_line();
  void begin();
  std::size_t read_full_lines(std::span<std::byte> out);
  void decode_line();
  void end();

  BufferedSource input_;
  Bytes line_;  // decoded
  std::size_t line_begin_ = 0;
  bool begun_ = false, short_line_seen_ = false, ended_ = false, broken_ = false;
};

/// The bytes of an age file whose armor, where it has one, is taken off.
class AgeInput {
 public:
  /// Reads the first byte: an age file begins with a letter; its armor with a hyphen, or with white space.
  explicit AgeInput(Source source);
  bool is_armored() const { return std::holds_alternative<AgeArmorReader>(input_); }
  /// As a Source. @throws AgeError{kArmor}; what the source throws.
  std::size_t read(std::span<std::byte> out);

 private:
  std::variant<BufferedSource, AgeArmorReader> input_;
};

}  // namespace casevault
