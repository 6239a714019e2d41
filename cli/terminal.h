#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/secret.h"

namespace casevault {

/// The terminal of whoever runs the program, for questions; standard input and output may be files.
class Terminal {
 public:
  /// nullopt when `path` is empty or cannot be opened: nobody is there to be asked.
  static std::optional<Terminal> open(const std::string& path, std::function<bool()> interrupted);
  Terminal(Terminal&& other) noexcept;
  Terminal& operator=(Terminal&&) = delete;
  ~Terminal();

  /// Shows `text` as it is.
  void show(std::string_view text);
  /// A line typed as an answer, without the newline; by default what was typed before the question is thrown away.
  /// @throws Error{kInterrupted}
  enum class TypedAhead { kDropped, kTaken };
  std::string ask(std::string_view question, TypedAhead typed_ahead = TypedAhead::kDropped);
  /// The same without echo, into guarded memory. The terminal's settings are put back whatever happens.
  SecretBytes ask_secret(std::string_view question);

 private:
  SecretBytes read_line(std::size_t max_bytes);
  Terminal(int descriptor, std::function<bool()> interrupted)
      : descriptor_(descriptor), interrupted_(std::move(interrupted)) {}
  int descriptor_;
  std::function<bool()> interrupted_;
};

/// The first line of what `descriptor` gives, without its newline, into guarded memory; reads nothing behind it.
/// @throws Error: kUsage when it is longer than `max_bytes`, kInterrupted.
SecretBytes read_secret_line(int descriptor, std::size_t max_bytes, const std::function<bool()>& interrupted);

/// In constant time.
bool are_equal(const SecretBytes& a, const SecretBytes& b);

}  // namespace casevault
