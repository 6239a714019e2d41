#include "crypto/box.h"

#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex_array;

TEST(Box, OpensWhatWasSealedToIt) {
  const BoxKeyPair keys = BoxKeyPair::random();
  for (const std::string text : {"", "x", "a grant of thirty-two bytes or so"}) {
    const Bytes sealed = seal_to(keys.public_key, as_bytes(text));
    EXPECT_EQ(sealed.size(), text.size() + kSealedBoxOverhead);
    const auto plaintext = open_sealed(keys, sealed);
    ASSERT_TRUE(plaintext);
    EXPECT_EQ(as_text(plaintext->expose_secret()), text);
  }
}

TEST(Box, EveryBitCounts) {
  const BoxKeyPair keys = BoxKeyPair::random();
  const Bytes sealed = seal_to(keys.public_key, as_bytes("grant"));
  for (std::size_t i = 0; i < 8 * sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i / 8] ^= std::byte{1} << (i % 8);
    EXPECT_FALSE(open_sealed(keys, changed)) << "bit " << i;
  }
}

TEST(Box, EveryLengthCounts) {
  const BoxKeyPair keys = BoxKeyPair::random();
  const Bytes sealed = seal_to(keys.public_key, as_bytes("grant"));
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(open_sealed(keys, ByteView(sealed).first(size))) << size;
  }
}

TEST(Box, OnlyTheRecipientOpens) {
  EXPECT_FALSE(open_sealed(BoxKeyPair::random(), seal_to(BoxKeyPair::random().public_key, as_bytes("grant"))));
}

// RFC 7748 section 6.1: Alice's key pair.
TEST(Box, PublicKeyFollowsFromTheSecretKey) {
  const auto secret = hex_array<32>("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  EXPECT_EQ(to_hex(BoxKeyPair::from_secret(BoxSecretKey::from_bytes(secret)).public_key.bytes),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
}

// Points of small order, as wycheproof's x25519 file lists them: with them the shared secret is zero.
class SmallOrderKey : public testing::TestWithParam<std::string> {};
TEST_P(SmallOrderKey, IsRefused) {
  EXPECT_THROW(seal_to(BoxPublicKey{hex_array<32>(GetParam())}, as_bytes("grant")), Error);
}
TEST_P(SmallOrderKey, AsSenderIsRefused) {
  EXPECT_FALSE(open_sealed(BoxKeyPair::random(), concat({hex_array<32>(GetParam()), Bytes(16 + 5)})));
}
INSTANTIATE_TEST_SUITE_P(X25519, SmallOrderKey,
                         testing::Values("0000000000000000000000000000000000000000000000000000000000000000",
                                         "0100000000000000000000000000000000000000000000000000000000000000",
                                         "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                                         "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                                         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));

}  // namespace
}  // namespace casevault
