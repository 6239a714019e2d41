#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "crypto/bytes.h"

namespace casevault {

/// Deeper or larger JSON is refused before it is parsed: parsing it would take the stack, or many times its size.
inline constexpr std::size_t kMaxJsonDepth = 16;
inline constexpr std::size_t kMaxJsonValues = 500'000;

/// Parses an object that must be written exactly as we write it (keys sorted, no white space, no duplicates): its bytes
/// are what was signed.
/// @throws Error{kDamaged} naming `what`.
nlohmann::json parse_canonical(std::string_view text, std::string_view what);

/// The same for an array.
nlohmann::json parse_canonical_array(std::string_view text, std::string_view what);

/// Reads the fields of one object and, at the end, insists that there were no others. @throws Error{kDamaged} naming
/// `what`.
class Fields {
 public:
  /// The object must outlive it.
  Fields(const nlohmann::json& object, std::string what) : object_(object), what_(std::move(what)) {}
  Fields(nlohmann::json&& object, std::string what) = delete;
  std::string text(const char* key);
  std::uint64_t count(const char* key);  // 0 … 2^53
  std::int64_t time(const char* key);    // Unix milliseconds
  template <std::size_t N>
  ByteArray<N> hex(const char* key) {
    const auto bytes = array_from_hex<N>(text(key));
    if (!bytes) fail();
    return *bytes;
  }
  /// An array of at most `max` items.
  const nlohmann::json& list(const char* key, std::size_t max);
  /// For fields that are checked elsewhere.
  const nlohmann::json& any(const char* key);
  void end() const;
  [[noreturn]] void fail() const;

 private:
  const nlohmann::json& object_;
  std::string what_;
  std::size_t used_ = 0;
};

}  // namespace casevault
