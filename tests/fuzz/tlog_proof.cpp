// C2SP log proofs and the audit entries disclosed in them: what parses encodes back to the same bytes; anything else is
// Error{kDamaged}.
#include "crypto/tlog_proof.h"

#include <cstdint>
#include <cstdlib>

#include "crypto/error.h"
#include "vault/audit/disclosure.h"

namespace {

void disclosed(std::string_view text) {
  try {
    if (casevault::encode_disclosed(casevault::parse_disclosed(text)) != text) std::abort();
  } catch (const casevault::Error& error) {
    if (error.code() != casevault::Errc::kDamaged) std::abort();
  }
}

void proof(std::string_view text) {
  try {
    const auto parsed = casevault::TlogProof::parse(text);
    if (parsed.encode() != text) std::abort();
    disclosed(casevault::as_text(parsed.unauthenticated_extra()));
  } catch (const casevault::Error& error) {
    if (error.code() != casevault::Errc::kDamaged) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  proof(text);
  disclosed(text);
  return 0;
}
