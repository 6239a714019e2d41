#include "crypto/key_half.h"

#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {

Scalar reduce_to_scalar(const WideScalar& wide) {
  Scalar scalar = Scalar::zero();
  crypto_core_ristretto255_scalar_reduce(raw(scalar.expose_secret_for_writing()), raw(wide.expose_secret()));
  auto checked = parse_scalar(scalar);
  require(checked.has_value(), "a scalar is zero");
  return *std::move(checked);
}

}  // namespace casevault
