#include "crypto/key_half.h"

#include <gtest/gtest.h>

#include "crypto/encoding.h"
#include "crypto/error.h"

namespace casevault {
namespace {

using TestKey = Key<struct TestPurpose>;

TEST(KeyHalf, MaskedTwiceIsTheKeyAgain) {
  const auto key = TestKey::random();
  const auto share = TestKey::random();
  const auto masked = mask_key(key, share, "casevault/v1/test", be32(1));
  EXPECT_FALSE(equal_constant_time(masked, key));
  EXPECT_TRUE(equal_constant_time(mask_key(masked, share, "casevault/v1/test", be32(1)), key));
  EXPECT_FALSE(equal_constant_time(mask_key(masked, share, "casevault/v1/test", be32(2)), key));
  EXPECT_FALSE(equal_constant_time(mask_key(masked, TestKey::random(), "casevault/v1/test", be32(1)), key));
}

/// RFC 9496 has L; 2^512 - 1 modulo it was calculated with Python.
TEST(KeyHalf, ScalarsAreReduced) {
  auto wide = WideScalar::from_bytes(std::array<std::byte, 64>{std::byte{7}});
  const auto small = reduce_to_scalar(wide);
  EXPECT_EQ(to_hex(small.expose_secret()), "07" + std::string(62, '0'));
  std::array<std::byte, 64> ones{};
  ones.fill(std::byte{0xff});
  EXPECT_EQ(to_hex(reduce_to_scalar(WideScalar::from_bytes(ones)).expose_secret()),
            "000f9c44e31106a447938568a71b0ed065bef517d273ecce3d9a307c1b419903");
  EXPECT_THROW(reduce_to_scalar(WideScalar::zero()), Error);
}

}  // namespace
}  // namespace casevault
