#include "crypto/bytes.h"

#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex;

TEST(Hex, WritesLowerCase) { EXPECT_EQ(to_hex(as_bytes("\x01\xab\xff")), "01abff"); }
TEST(Hex, ReadsWhatItWrites) { EXPECT_EQ(from_hex("0001abff"), hex("0001abff")); }
TEST(Hex, EmptyIsEmpty) {
  EXPECT_EQ(to_hex({}), "");
  EXPECT_EQ(from_hex(""), Bytes{});
}

class BadHex : public testing::TestWithParam<std::string_view> {};
TEST_P(BadHex, IsRefused) { EXPECT_EQ(from_hex(GetParam()), std::nullopt); }
INSTANTIATE_TEST_SUITE_P(Hex, BadHex,
                         testing::Values("0", "abc", "AB", "aB", "0g", "0x01", " 01", "01 ", "01\n", "01:02",
                                         std::string_view("01\0\0", 4)));

TEST(Hex, ArrayWantsItsExactSize) {
  EXPECT_TRUE(array_from_hex<2>("0102"));
  EXPECT_FALSE(array_from_hex<2>("01"));
  EXPECT_FALSE(array_from_hex<2>("010203"));
}

TEST(Bytes, ConcatKeepsOrderAndEmptyPieces) {
  EXPECT_EQ(concat({as_bytes("ab"), {}, as_bytes("c")}), concat({as_bytes("abc")}));
  EXPECT_EQ(concat({}), Bytes{});
}

TEST(BigEndian, WritesTheHighByteFirst) {
  EXPECT_EQ(to_hex(be32(0x01020304)), "01020304");
  EXPECT_EQ(to_hex(be64(0x0102030405060708)), "0102030405060708");
}
TEST(BigEndian, ReadsWhatItWrites) {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{255}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    EXPECT_EQ(read_be64(be64(value)), value);
    EXPECT_EQ(read_be32(be32(static_cast<std::uint32_t>(value))), static_cast<std::uint32_t>(value));
  }
}

TEST(EqualConstantTime, ComparesContentAndLength) {
  EXPECT_TRUE(equal_constant_time(as_bytes("same"), as_bytes("same")));
  EXPECT_TRUE(equal_constant_time({}, {}));
  EXPECT_FALSE(equal_constant_time(as_bytes("same"), as_bytes("samf")));
  EXPECT_FALSE(equal_constant_time(as_bytes("same"), as_bytes("sam")));
  EXPECT_FALSE(equal_constant_time(as_bytes("same"), {}));
}

}  // namespace
}  // namespace casevault
