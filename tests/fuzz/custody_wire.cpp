// Invitations, signed statements and the headers of signed requests: what parses is written back to the same bytes, and
// nothing that was not signed is taken for signed.
#include <cstdint>
#include <nlohmann/json.hpp>

#include "crypto/error.h"
#include "tests/support/fuzz.h"
#include "vault/custody/wire.h"
#include "vault/storage/json.h"

namespace {

using namespace casevault;

void invitation(std::string_view text) {
  try {
    test::check(Invitation::parse(text).encode() == text, "an invitation is written back to the same bytes");
  } catch (const Error& error) {
    test::check(error.code() == Errc::kUsage, "what is no invitation is the fault of who typed it");
  }
}

void percent(std::string_view text) {
  const auto decoded = from_percent_encoded(text);
  test::check(!decoded || to_percent_encoded(*decoded) == text, "percent-encoding has one spelling");
}

void statement(std::string_view text) {
  try {
    wire_statement_from_json(parse_canonical(text, "it"), kOrderDomain, "it");
    test::check(false, "a statement that nobody signed");
  } catch (const Error& error) {
    test::check(error.code() == Errc::kDamaged, "what is no statement is damaged");
  }
}

// The three header values, one per line.
void headers(std::string_view text) {
  const auto first = text.find('\n');
  const auto second = first == text.npos ? text.npos : text.find('\n', first + 1);
  if (second == text.npos) return;
  const WireSignature values{std::string(text.substr(0, first)),
                             std::string(text.substr(first + 1, second - first - 1)),
                             std::string(text.substr(second + 1))};
  test::check(!check_request({"GET", "/v1/orders", "?to=a", ""}, values), "a request that nobody signed");
  test::check(!check_request({"POST", "/v1/evaluate", "", "{}"}, values), "a request that nobody signed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  invitation(text);
  percent(text);
  statement(text);
  headers(text);
  return 0;
}
