#include "vault/storage/json.h"

#include "crypto/error.h"

namespace casevault {

nlohmann::json parse_canonical(std::string_view text, std::string_view what) {
  const auto parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object() && parsed.dump() == text) return parsed;
  throw Error(Errc::kDamaged, std::string(what) + " is damaged: not written as it should be");
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

void Fields::end() const {
  if (used_ != object_.size()) fail();
}

void Fields::fail() const {
  throw Error(Errc::kDamaged, what_ + " is damaged: a field is missing, unknown or malformed");
}

}  // namespace casevault
