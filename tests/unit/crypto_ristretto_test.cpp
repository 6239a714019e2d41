#include "crypto/ristretto.h"

#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex;

constexpr std::string_view kGroupOrder = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

Scalar scalar(std::uint8_t value) {
  Bytes bytes(Scalar::kSize);
  bytes[0] = static_cast<std::byte>(value);
  return parse_scalar(bytes).value();
}

// RFC 9496 appendix A.1: multiples 1 … 15 of the generator.
const std::string_view kMultiples[] = {
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57",
    "e882b131016b52c1d3337080187cf768423efccbb517bb495ab812c4160ff44e",
    "f64746d3c92b13050ed8d80236a7f0007c3b3f962f5ba793d19a601ebb1df403",
    "44f53520926ec81fbd5a387845beb7df85a96a24ece18738bdcfa6a7822a176d",
    "903293d8f2287ebe10e2374dc1a53e0bc887e592699f02d077d5263cdd55601c",
    "02622ace8f7303a31cafc63f8fc48fdc16e1c8c8d234b2f0d6685282a9076031",
    "20706fd788b2720a1ed2a5dad4952b01f413bcf0e7564de8cdc816689e2db95f",
    "bce83f8ba5dd2fa572864c24ba1810f9522bc6004afe95877ac73241cafdab42",
    "e4549ee16b9aa03099ca208c67adafcafa4c3f3e4e5303de6026e3ca8ff84460",
    "aa52e000df2e16f55fb1032fc33bc42742dad6bd5a8fc0be0167436c5948501f",
    "46376b80f409b29dc2b5f6f0c52591990896e5716f41477cd30085ab7f10301e",
    "e0c418f7c8d9c4cdd7395b93ea124f3ad99021bb681dfc3302a9d99a2e53e64e",
};

TEST(Ristretto, MultiplesOfTheGenerator) {
  const Element generator = generator_times(scalar(1));
  std::uint8_t factor = 0;
  for (const auto expected : kMultiples) {
    const auto element = parse_element(hex(expected));
    ASSERT_TRUE(element) << expected;
    EXPECT_EQ(*element, generator_times(scalar(++factor)));
    EXPECT_EQ(*element, multiply(generator, scalar(factor)));
  }
}

// RFC 9496 appendix A.2: encodings that must be refused.
struct BadElement {
  std::string name, bytes;
};
const BadElement kBadElements[] = {
    {"Identity", "0000000000000000000000000000000000000000000000000000000000000000"},
    {"Empty", ""},
    {"Short", "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d"},
    {"Long", "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d7600"},
    {"NotCanonical1", "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
    {"NotCanonical2", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"NotCanonical3", "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"NotCanonical4", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"Negative1", "0100000000000000000000000000000000000000000000000000000000000000"},
    {"Negative2", "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"Negative3", "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20"},
    {"NotSquare1", "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"},
    {"NotSquare2", "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f"},
    {"NotSquare3", "de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b"},
    {"NegativeProduct1", "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e"},
    {"NegativeProduct2", "a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220"},
    {"MinusOne", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"HighBitSet", "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2df6"},
};
class BadElements : public testing::TestWithParam<BadElement> {};
TEST_P(BadElements, AreRefused) { EXPECT_FALSE(parse_element(hex(GetParam().bytes))); }
INSTANTIATE_TEST_SUITE_P(Ristretto, BadElements, testing::ValuesIn(kBadElements),
                         [](const auto& info) { return info.param.name; });

// What never went through parse_element. Of all these libsodium takes only the one with the highest bit set.
TEST(Ristretto, CalculationsRefuseWhatIsNoElement) {
  for (const auto& bad : kBadElements) {
    const auto bytes = array_from_hex<32>(bad.bytes);
    if (!bytes || bad.name == "HighBitSet") continue;
    try {
      (void)multiply(Element{*bytes}, scalar(2));
      ADD_FAILURE() << bad.name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::kDamaged);
    }
  }
  EXPECT_THROW((void)multiply(generator_times(scalar(1)), Scalar::zero()), Error);
  EXPECT_THROW((void)generator_times(Scalar::zero()), Error);
}

TEST(Ristretto, ScalarsAreReducedAndNotZero) {
  auto bytes = hex(kGroupOrder);
  EXPECT_FALSE(parse_scalar(bytes)) << "L";
  bytes[0] = static_cast<std::byte>(0xec);
  EXPECT_TRUE(parse_scalar(bytes)) << "L - 1";
  EXPECT_EQ(to_hex(parse_scalar(bytes)->expose_secret()), to_hex(bytes));
  bytes[0] = static_cast<std::byte>(0xee);
  EXPECT_FALSE(parse_scalar(bytes)) << "L + 1";
  EXPECT_FALSE(parse_scalar(Bytes(32, std::byte{0xff})));
  EXPECT_FALSE(parse_scalar(Bytes(32))) << "zero";
  EXPECT_TRUE(parse_scalar(scalar(1)));
  for (const std::size_t size : {0u, 31u, 33u, 64u}) EXPECT_FALSE(parse_scalar(Bytes(size, std::byte{1}))) << size;
  EXPECT_FALSE(parse_scalar(SecretBytes(32)));
}

TEST(Ristretto, RandomScalarsDiffer) {
  const auto a = random_scalar(), b = random_scalar();
  EXPECT_TRUE(parse_scalar(a) && parse_scalar(b));
  EXPECT_NE(to_hex(a.expose_secret()), to_hex(b.expose_secret()));
}

}  // namespace
}  // namespace casevault
