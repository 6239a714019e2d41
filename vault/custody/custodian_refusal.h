#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/error.h"

namespace casevault::custodian {

/// A request that is answered by an error of the protocol (docs/custody-protocol.md section 2) and changes nothing.
/// Thrown by whatever looks at a request, caught by Custodian::handle and nowhere else.
struct Refusal {
  int status = 0;
  std::string_view word;  // a literal
  std::string message;    // an English sentence without a full stop
  std::optional<std::int64_t> clock;
};

[[noreturn]] inline void refuse(int status, std::string_view word, std::string message) {
  throw Refusal{status, word, std::move(message), std::nullopt};
}

/// Status 400 for what `parse` calls damaged. @pre `parse` looks at the request only, not at our own store.
template <typename Parse>
auto parsed(const Parse& parse) {
  try {
    return parse();
  } catch (const Error& error) {
    if (error.code() != Errc::kDamaged) throw;
    refuse(400, "malformed", error.what());
  }
}

}  // namespace casevault::custodian
