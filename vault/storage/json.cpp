#include "vault/storage/json.h"

#include "crypto/error.h"

namespace casevault {

namespace {

// Counts brackets, and commas between values, outside of strings.
bool is_within_bounds(std::string_view text) {
  std::size_t depth = 0;
  std::size_t values = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && depth > 0) --depth;
    if (c == ',' || c == '{' || c == '[') ++values;
    if (depth > kMaxJsonDepth || values > kMaxJsonValues) return false;
  }
  return true;
}

nlohmann::json parse_exactly(std::string_view text, std::string_view what, bool is_object) {
  if (is_within_bounds(text)) {
    auto parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if ((is_object ? parsed.is_object() : parsed.is_array()) && parsed.dump() == text) return parsed;
  }
  throw Error(Errc::kDamaged, std::string(what) + " is damaged: not written as it should be");
}

}  // namespace

nlohmann::json parse_canonical(std::string_view text, std::string_view what) { return parse_exactly(text, what, true); }

nlohmann::json parse_canonical_array(std::string_view text, std::string_view what) {
  return parse_exactly(text, what, false);
}

const nlohmann::json& Fields::any(const char* key) {
  const auto found = object_.find(key);
  if (found == object_.end()) fail();
  ++used_;
  return *found;
}

std::string Fields::text(const char* key) {
  const auto& value = any(key);
  if (!value.is_string()) fail();
  return value.get<std::string>();
}

std::uint64_t Fields::count(const char* key) {
  const auto& value = any(key);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > (std::uint64_t{1} << 53)) fail();
  return value.get<std::uint64_t>();
}

std::int64_t Fields::time(const char* key) {
  const auto& value = any(key);
  constexpr std::int64_t kLimit = std::int64_t{1} << 53;
  if (!value.is_number_integer() || value > kLimit || value < -kLimit) fail();
  return value.get<std::int64_t>();
}

const nlohmann::json& Fields::list(const char* key, std::size_t max) {
  const auto& value = any(key);
  if (!value.is_array() || value.size() > max) fail();
  return value;
}

void Fields::end() const {
  if (used_ != object_.size()) fail();
}

void Fields::fail() const {
  throw Error(Errc::kDamaged, what_ + " is damaged: a field is missing, unknown or malformed");
}

}  // namespace casevault
