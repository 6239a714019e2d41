#include "crypto/text_lines.h"

#include "tests/support/vectors.h"

namespace casevault {
namespace {

TEST(LineReader, TakesLineAfterLine) {
  LineReader lines("one\n\nkey value\nrest");
  EXPECT_EQ(lines.next(), "one");
  EXPECT_EQ(lines.next(), "");
  EXPECT_EQ(lines.next_after("other "), std::nullopt);
  EXPECT_EQ(lines.next_after("key "), "value");
  EXPECT_EQ(lines.next(), std::nullopt) << "no newline";
  EXPECT_EQ(lines.next_after("re"), std::nullopt) << "no newline";
  EXPECT_EQ(lines.rest(), "rest");
}

TEST(Decimal, HasOneSpelling) {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{10}, ~std::uint64_t{0}}) {
    EXPECT_EQ(from_decimal(std::to_string(value)), value);
  }
  for (const char* text : {"", "00", "01", "-1", "+1", " 1", "1 ", "1\n", "0x1", "1.", "18446744073709551616", "a"}) {
    EXPECT_EQ(from_decimal(text), std::nullopt) << text;
  }
}

TEST(Utf8, WellFormedPasses) {
  for (const char* text : {"", "a", "\x7f", "é", "Справа №1", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000",
                           "\U0010ffff", "a\u2014b"}) {
    EXPECT_TRUE(is_well_formed_utf8(text)) << text;
  }
  EXPECT_TRUE(is_well_formed_utf8(std::string_view("\0", 1)));
}

TEST(Utf8, AllElseIsRefused) {
  for (const char* hex : {"80",       "bf",       "c0af",     "c1bf",   "c2",     "c220", "e0",       "e09f80",
                          "e080af",   "e28094e2", "e28020",   "eda080", "edbfbf", "f0",   "f08f8080", "f09f98",
                          "f0908020", "f4908080", "f5808080", "fe",     "ff",     "61ff"}) {
    EXPECT_FALSE(is_well_formed_utf8(as_text(test::hex(hex)))) << hex;
  }
}

TEST(ArrayFromBase64, TakesExactlyItsSize) {
  EXPECT_EQ(array_from_base64<2>("aGk="), (ByteArray<2>{std::byte{'h'}, std::byte{'i'}}));
  EXPECT_EQ(array_from_base64<3>("aGk="), std::nullopt);
  EXPECT_EQ(array_from_base64<2>("aGk"), std::nullopt);
  EXPECT_EQ(array_from_base64<2>("aGl="), std::nullopt) << "an unused bit is set";
}

}  // namespace
}  // namespace casevault
