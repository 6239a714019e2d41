#include "crypto/kdf.h"

#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex;
using test::hex_array;

// Computed with the reference implementation (Debian's argon2 0~20171227, `argon2 SALT -id -t T -k M -p 1 -l 32`); the
// last is the example in PHP's manual for sodium_crypto_pwhash_str.
struct Argon2Case {
  std::string name, passphrase, salt_hex;
  Argon2Cost cost;
  std::string key_hex;
};
const Argon2Case kArgon2Cases[] = {
    {"three_passes_64_MiB",
     "correct horse battery staple",
     to_hex(as_bytes("casevault-salt16")),
     {3, 64 << 20},
     "54f7e5eca62225ef0df58a070814a065c886c69e7d0c8d801ffb51a6cc557509"},
    {"least_cost",
     "p",
     to_hex(as_bytes("casevault-salt16")),
     {1, 8 << 10},
     "e71d93705d1a830d11027079f3ffeac05d67eb7911ded38d7a26dfd50649302b"},
    {"php_manual",
     "password",
     "a1621f75a5f05b08559a8bce05cd8d01",
     {2, 64 << 20},
     "11bb19f899d9cb26af91a7d2d21a1ce0775a381d082d664448067b91519af88c"},
};
class Argon2Known : public testing::TestWithParam<Argon2Case> {};
TEST_P(Argon2Known, Matches) {
  const auto& c = GetParam();
  const auto key = stretch_passphrase(SecretBytes::copy_of(as_bytes(c.passphrase)), hex_array<16>(c.salt_hex), c.cost);
  EXPECT_EQ(to_hex(key.expose_secret()), c.key_hex);
}
INSTANTIATE_TEST_SUITE_P(Argon2id, Argon2Known, testing::ValuesIn(kArgon2Cases),
                         [](const auto& info) { return info.param.name; });

constexpr Argon2Cost kCheap{1, 8 << 10};

TEST(Argon2id, EveryInputMatters) {
  const auto stretch = [](std::string_view passphrase, std::uint8_t salt, Argon2Cost cost) {
    const ByteArray<16> salts{std::byte{salt}};
    return to_hex(stretch_passphrase(SecretBytes::copy_of(as_bytes(passphrase)), salts, cost).expose_secret());
  };
  const auto base = stretch("a", 0, kCheap);
  EXPECT_EQ(stretch("a", 0, kCheap), base);
  EXPECT_NE(stretch("b", 0, kCheap), base);
  EXPECT_NE(stretch("", 0, kCheap), base);
  EXPECT_NE(stretch("a", 1, kCheap), base);
  EXPECT_NE(stretch("a", 0, {2, kCheap.memory_bytes}), base);
  EXPECT_NE(stretch("a", 0, {1, 2 * kCheap.memory_bytes}), base);
}

TEST(Argon2id, ImpossibleCostIsAnError) {
  const SecretBytes passphrase = SecretBytes::copy_of(as_bytes("a"));
  for (const Argon2Cost cost : {Argon2Cost{0, 8 << 10}, Argon2Cost{1, 0}, Argon2Cost{1, ~std::uint64_t{0}}}) {
    EXPECT_THROW(stretch_passphrase(passphrase, {}, cost), Error);
  }
}

const Bytes kKey = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

TEST(DeriveBytes, MatchesHashlib) {
  // Python: hashlib.blake2b(b"casevault/v1/test\0ctx", key=bytes(range(32)), digest_size=32), and without "ctx",
  // key[:16], 64
  ByteArray<32> out32;
  derive_bytes(kKey, "casevault/v1/test", as_bytes("ctx"), out32);
  EXPECT_EQ(to_hex(out32), "f2893b9e859d142aa830759dec7126f988c962c0e0e27bc73c8d911063203688");
  ByteArray<64> out64;
  derive_bytes(ByteView(kKey).first(16), "casevault/v1/test", {}, out64);
  EXPECT_EQ(to_hex(out64),
            "5158b1800d26e08c5921a57213f9af45f8098f49d541720fbd94c274231cad177291548947363f6179c33a7e184b502a5dfc9a735e"
            "217338faae7e2e8fec6ca6");
}

TEST(DeriveBytes, LabelAndContextDoNotRunTogether) {
  ByteArray<32> a, b;
  derive_bytes(kKey, "label", as_bytes("context"), a);
  derive_bytes(kKey, "labelc", as_bytes("ontext"), b);
  EXPECT_NE(a, b);
}

TEST(DeriveBytes, RefusesWhatItCannotKeepApart) {
  ByteArray<32> out;
  ByteArray<65> longer;
  EXPECT_THROW(derive_bytes({}, "label", {}, out), Error);  // libsodium would hash without a key
  EXPECT_THROW(derive_bytes(ByteView(kKey).first(15), "label", {}, out), Error);
  EXPECT_THROW(derive_bytes(Bytes(65), "label", {}, out), Error);
  EXPECT_THROW(derive_bytes(kKey, "label", {}, std::span(out).first(15)), Error);
  EXPECT_THROW(derive_bytes(kKey, "label", {}, longer), Error);
  EXPECT_THROW(derive_bytes(kKey, std::string_view("la\0bel", 6), {}, out), Error);
}

TEST(DeriveKey, GivesOneKeyForEachLabelAndContext) {
  const CaseKey key = CaseKey::random();
  const auto derive = [&](std::string_view label, std::string_view context) {
    return to_hex(derive_key<DatabaseKey>(key, label, as_bytes(context)).expose_secret());
  };
  EXPECT_EQ(derive("a", "1"), derive("a", "1"));
  EXPECT_NE(derive("a", "1"), derive("b", "1"));
  EXPECT_NE(derive("a", "1"), derive("a", "2"));
}

// RFC 5869 appendix A.
struct HkdfCase {
  std::string name, input_key, salt, info, output;
};
const HkdfCase kHkdfCases[] = {
    {"A1", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {"A2",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
     "38393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
     "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f9091929394959697"
     "98999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
     "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7"
     "e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8"
     "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {"A3", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
};
class HkdfKnown : public testing::TestWithParam<HkdfCase> {};
TEST_P(HkdfKnown, Matches) {
  const auto& c = GetParam();
  Bytes out(c.output.size() / 2);
  hkdf_sha256(hex(c.input_key), hex(c.salt), hex(c.info), out);
  EXPECT_EQ(to_hex(out), c.output);
}
INSTANTIATE_TEST_SUITE_P(Rfc5869, HkdfKnown, testing::ValuesIn(kHkdfCases),
                         [](const auto& info) { return info.param.name; });

TEST(Wycheproof, HkdfSha256) {
  const auto path = test::vector_path("wycheproof/hkdf_sha256_test.json");
  CASEVAULT_NEEDS_VECTORS(path);
  int cases = 0;
  const auto vectors = test::read_json(path);
  for (const auto& group : vectors["testGroups"]) {
    for (const auto& c : group["tests"]) {
      SCOPED_TRACE(c["tcId"]);
      ++cases;
      Bytes out(c["size"].get<std::size_t>());
      const auto derive = [&] {
        hkdf_sha256(hex(c["ikm"].get<std::string>()), hex(c["salt"].get<std::string>()),
                    hex(c["info"].get<std::string>()), out);
      };
      if (c["result"] == "valid") {
        derive();
        EXPECT_EQ(to_hex(out), c["okm"]);
      } else {
        EXPECT_THROW(derive(), Error);
      }
    }
  }
  EXPECT_EQ(cases, 86);
}

TEST(Wycheproof, HmacSha256) {
  const auto path = test::vector_path("wycheproof/hmac_sha256_test.json");
  CASEVAULT_NEEDS_VECTORS(path);
  int cases = 0;
  const auto vectors = test::read_json(path);
  for (const auto& group : vectors["testGroups"]) {
    const auto tag_size = group["tagSize"].get<std::size_t>() / 8;  // half of the groups cut the tag short
    for (const auto& c : group["tests"]) {
      SCOPED_TRACE(c["tcId"]);
      ++cases;
      const auto mac = hmac_sha256(hex(c["key"].get<std::string>()), hex(c["msg"].get<std::string>()));
      EXPECT_EQ(to_hex(ByteView(mac).first(tag_size)) == c["tag"], c["result"] == "valid");
    }
  }
  EXPECT_EQ(cases, 174);
}

}  // namespace
}  // namespace casevault
