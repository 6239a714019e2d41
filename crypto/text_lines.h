#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "crypto/bytes.h"
#include "crypto/encoding.h"

namespace casevault {

/// What the published text formats (minisign, C2SP notes, checkpoints and proofs) are made of. All of it is strict: for
/// what is accepted there is one spelling only, so that what parses encodes back to the same bytes.

/// Takes lines off the front of a text in which every line ends in a newline (U+000A). Lines are views of the text and
/// must not outlive it.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}
  /// The next line without its newline; nullopt, and nothing taken, where there is no newline any more.
  std::optional<std::string_view> next();
  /// The same for a line that begins with `prefix`, and without it; nullopt, and nothing taken, where it does not.
  std::optional<std::string_view> next_after(std::string_view prefix);
  /// What was not taken yet.
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// ASCII decimal without sign or leading zeros, at most 2^64 - 1. nullopt otherwise.
std::optional<std::uint64_t> from_decimal(std::string_view text);

/// Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_well_formed_utf8(std::string_view text);

/// As from_base64, and exactly N bytes.
template <std::size_t N>
std::optional<ByteArray<N>> array_from_base64(std::string_view text) {
  const auto bytes = from_base64(text);
  if (!bytes || bytes->size() != N) return std::nullopt;
  return to_array<N>(*bytes);
}

}  // namespace casevault
