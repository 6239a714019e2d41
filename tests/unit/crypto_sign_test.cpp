#include "crypto/sign.h"

#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex;
using test::hex_array;

// RFC 8032 section 7.1.
struct Rfc8032Case {
  std::string name, seed, public_key, message, signature;
};
const Rfc8032Case kRfc8032Cases[] = {
    {"Test1", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
     "655141438e7a100b"},
    {"Test2", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
     "b00d291612bb0c00"},
    {"Test3", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
     "c027beceea1ec40a"},
};
class Rfc8032 : public testing::TestWithParam<Rfc8032Case> {};
TEST_P(Rfc8032, Matches) {
  const auto& c = GetParam();
  const auto key = SigningKey::from_seed(SigningSeed::from_bytes(hex_array<32>(c.seed)));
  EXPECT_EQ(to_hex(key.verify_key().bytes), c.public_key);
  EXPECT_EQ(to_hex(key.seed().expose_secret()), c.seed);
  EXPECT_EQ(to_hex(key.sign_raw(hex(c.message))), c.signature);
  EXPECT_TRUE(verify_raw(key.verify_key(), hex(c.message), hex_array<64>(c.signature)));
}
INSTANTIATE_TEST_SUITE_P(Ed25519, Rfc8032, testing::ValuesIn(kRfc8032Cases),
                         [](const auto& info) { return info.param.name; });

TEST(Sign, DomainsAreApart) {
  const SigningKey key = SigningKey::random();
  const Signature signature = key.sign("casevault/v1/grant", as_bytes("message"));
  EXPECT_TRUE(verify(key.verify_key(), "casevault/v1/grant", as_bytes("message"), signature));
  EXPECT_FALSE(verify(key.verify_key(), "casevault/v1/order", as_bytes("message"), signature));
  EXPECT_FALSE(verify(key.verify_key(), "casevault/v1/grantm", as_bytes("essage"), signature));
  EXPECT_FALSE(verify_raw(key.verify_key(), as_bytes("message"), signature));
}

TEST(Sign, SignsDomainZeroMessage) {
  const SigningKey key = SigningKey::random();
  EXPECT_TRUE(verify_raw(key.verify_key(), as_bytes(std::string_view("d\0m", 3)), key.sign("d", as_bytes("m"))));
}

TEST(Sign, RefusesADomainWithAZeroByte) {
  EXPECT_THROW((void)SigningKey::random().sign(std::string_view("d\0d", 3), ByteView{}), Error);
}

TEST(Sign, EveryBitCounts) {
  const SigningKey key = SigningKey::random();
  const Bytes message = hex("0011223344");
  const Signature signature = key.sign("d", message);
  for (std::size_t i = 0; i < 8 * signature.size(); ++i) {
    Signature changed = signature;
    changed[i / 8] ^= std::byte{1} << (i % 8);
    EXPECT_FALSE(verify(key.verify_key(), "d", message, changed)) << "bit " << i;
  }
  for (std::size_t i = 0; i < 8 * message.size(); ++i) {
    Bytes changed = message;
    changed[i / 8] ^= std::byte{1} << (i % 8);
    EXPECT_FALSE(verify(key.verify_key(), "d", changed, signature)) << "bit " << i;
  }
  EXPECT_FALSE(verify(SigningKey::random().verify_key(), "d", message, signature));
}

TEST(Sign, MovedKeyStillSigns) {
  SigningKey first = SigningKey::random();
  const VerifyKey public_key = first.verify_key();
  const SigningKey second = std::move(first);
  EXPECT_TRUE(verify(public_key, "d", as_bytes("m"), second.sign("d", as_bytes("m"))));
}

// With a key or an R of small order and S = 0, one signature fits many messages (RFC 8032 does not forbid it, libsodium
// does).
TEST(Verify, RefusesSmallOrder) {
  for (const char* point : {"0100000000000000000000000000000000000000000000000000000000000000",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "0000000000000000000000000000000000000000000000000000000000000000",
                            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"}) {
    const auto small = hex_array<32>(point);
    const auto signature = to_array<64>(concat({small, ByteArray<32>{}}));
    for (int i = 0; i < 16; ++i) EXPECT_FALSE(verify_raw(VerifyKey{small}, be32(i), signature)) << point;
  }
}

TEST(Wycheproof, Ed25519) {
  const auto path = test::vector_path("wycheproof/ed25519_test.json");
  CASEVAULT_NEEDS_VECTORS(path);
  int cases = 0, of_another_size = 0;
  const auto vectors = test::read_json(path);
  for (const auto& group : vectors["testGroups"]) {
    const VerifyKey key{hex_array<32>(group["publicKey"]["pk"].get<std::string>())};
    for (const auto& c : group["tests"]) {
      SCOPED_TRACE(c["tcId"]);
      ++cases;
      const auto signature = array_from_hex<64>(c["sig"].get<std::string>());
      if (!signature) ++of_another_size;  // no Signature can be made of it
      EXPECT_EQ(signature && verify_raw(key, hex(c["msg"].get<std::string>()), *signature), c["result"] == "valid");
    }
  }
  EXPECT_EQ(cases, 151);
  EXPECT_EQ(of_another_size, 12);
}

}  // namespace
}  // namespace casevault
