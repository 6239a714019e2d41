#pragma once
#include <string>

#include "crypto/bytes.h"
#include "vault/environment.h"

namespace casevault {

/// How much of a text is read, and what is said of one that is longer.
struct TextLimit {
  std::size_t max_bytes = 0;
  const char* complaint;  // "the text is longer than a testimony may be"
  const char* hint = "";
};

/// A whole text file, or standard input where `path` is "-". @throws Error: kUsage when it cannot be read or is longer,
/// kInterrupted.
Bytes read_text_input(const std::string& path, const TextLimit& limit, const Environment& environment);

}  // namespace casevault
