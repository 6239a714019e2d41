// casevault/bundle.json: what parses encodes back to the same bytes; what then passes its own checks has people who
// signed; anything else is Error{kDamaged}.
#include "crypto/error.h"
#include "tests/support/fuzz.h"
#include "vault/sharing/bundle.h"

namespace {

using namespace casevault;

void check_hops_of(const CheckedBundle& bundle) {
  for (const auto& record : bundle.bundle.records) {
    try {
      check_hops(record.hops, bundle.vaults, {}, 0, "a record");
    } catch (const Error& error) {
      test::check(error.code() == Errc::kDamaged, "hops that are refused are damaged");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    auto bundle = parse_bundle(text);
    test::check(encode_bundle(bundle) == text, "what parses encodes back to the same bytes");
    check_hops_of(check_bundle(std::move(bundle)));
  } catch (const Error& error) {
    test::check(error.code() == Errc::kDamaged, "what is refused is damaged");
  }
  return 0;
}
