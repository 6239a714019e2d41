#include "crypto/encoding.h"

#include "crypto/error.h"
#include "crypto/random.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex;

Bytes bytes_of(std::string_view text) { return concat({as_bytes(text)}); }

// ---- Base64. RFC 4648 section 10.
using Base64Case = std::pair<std::string, std::string>;
class Base64Known : public testing::TestWithParam<Base64Case> {};
TEST_P(Base64Known, Padded) {
  EXPECT_EQ(to_base64(as_bytes(GetParam().first)), GetParam().second);
  EXPECT_EQ(from_base64(GetParam().second), bytes_of(GetParam().first));
}
TEST_P(Base64Known, Unpadded) {
  const std::string text = GetParam().second.substr(0, GetParam().second.find('='));
  EXPECT_EQ(to_base64_unpadded(as_bytes(GetParam().first)), text);
  EXPECT_EQ(from_base64_unpadded(text), bytes_of(GetParam().first));
}
TEST_P(Base64Known, Url) {
  std::string text = GetParam().second.substr(0, GetParam().second.find('='));
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  EXPECT_EQ(to_base64url(as_bytes(GetParam().first)), text);
  EXPECT_EQ(from_base64url(text), bytes_of(GetParam().first));
}
INSTANTIATE_TEST_SUITE_P(Rfc4648, Base64Known,
                         testing::Values(Base64Case{"", ""}, Base64Case{"f", "Zg=="}, Base64Case{"fo", "Zm8="},
                                         Base64Case{"foo", "Zm9v"}, Base64Case{"foob", "Zm9vYg=="},
                                         Base64Case{"fooba", "Zm9vYmE="}, Base64Case{"foobar", "Zm9vYmFy"},
                                         Base64Case{"\xff\xef\xbe", "/+++"}));

class BadBase64 : public testing::TestWithParam<std::string_view> {};
TEST_P(BadBase64, IsRefused) { EXPECT_EQ(from_base64(GetParam()), std::nullopt); }
INSTANTIATE_TEST_SUITE_P(Padded, BadBase64,
                         testing::Values("Zg", "Zg=", "Zg===", "Zm8", "Zm8==", "Zm9v=", "Zm9v====", "Z", "Z===", "=",
                                         "==", "====", "Zh==", "Zm9=", "Zm9vYh==",       // unused bits
                                         "Zm 8=", " Zm8=", "Zm8= ", "Zm8=\n", "Zm\n8=",  // white space
                                         "Zg==Zg==", "Zg=a", "-_--", "Zm8*", "Zm\xc3\xa9",
                                         std::string_view("Zm8=\0", 5)));
class BadBase64Unpadded : public testing::TestWithParam<std::string_view> {};
TEST_P(BadBase64Unpadded, IsRefused) { EXPECT_EQ(from_base64_unpadded(GetParam()), std::nullopt); }
INSTANTIATE_TEST_SUITE_P(Unpadded, BadBase64Unpadded,
                         testing::Values("Zg==", "Zg=", "Zm8=", "Zm9v=", "Z", "Zm9vY", "=", "Zh", "Zm9", "Zm 8",
                                         "Zm8\n", " Zm8", "-_--", std::string_view("Zm8\0", 4)));

class BadBase64url : public testing::TestWithParam<std::string_view> {};
TEST_P(BadBase64url, IsRefused) { EXPECT_EQ(from_base64url(GetParam()), std::nullopt); }
INSTANTIATE_TEST_SUITE_P(Url, BadBase64url,
                         testing::Values("Zg==", "Zg=", "Zm8=", "Z", "Zm9vY", "=", "Zh", "Zm9", "Zm 8", "Zm8\n", "/+++",
                                         "Zm\xc3\xa9", std::string_view("Zm8\0", 4)));

TEST(Base64, WhatParsesEncodesBackToTheSameText) {
  // All texts of up to four characters from a set with every class of character in it.
  constexpr std::string_view kCharacters = "AQgwZ/+=\n-";
  int parsed = 0;
  for (int i = 0; i < 11 * 11 * 11 * 11; ++i) {
    std::string text;
    for (int rest = i, digit = 0; digit < 4; ++digit, rest /= 11) {
      if (rest % 11 != 10) text += kCharacters[static_cast<std::size_t>(rest % 11)];
    }
    if (const auto bytes = from_base64(text)) {
      ++parsed;
      ASSERT_EQ(to_base64(*bytes), text);
    }
    if (const auto bytes = from_base64_unpadded(text)) {
      ++parsed;
      ASSERT_EQ(to_base64_unpadded(*bytes), text);
    }
  }
  EXPECT_GT(parsed, 1000);
}

// ---- Bech32. BIP 173, "Test vectors".
class Bip173Valid : public testing::TestWithParam<std::string> {};
TEST_P(Bip173Valid, EncodesBackToTheSameText) {
  const auto decoded = from_bech32(GetParam());
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->prefix, GetParam().substr(0, GetParam().rfind('1')));
  EXPECT_EQ(to_bech32(decoded->prefix, decoded->data), GetParam());
}
TEST_P(Bip173Valid, IsNotValidWithACharacterChanged) {
  for (std::size_t i = GetParam().rfind('1') + 1; i < GetParam().size(); ++i) {
    std::string changed = GetParam();
    changed[i] = changed[i] == 'q' || changed[i] == 'Q' ? 'p' : 'q';
    EXPECT_FALSE(from_bech32(changed)) << i;
  }
}
INSTANTIATE_TEST_SUITE_P(
    Bech32, Bip173Valid,
    testing::Values("A12UEL5L", "a12uel5l",
                    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
                    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
                    "11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j",
                    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", "?1ezyfcl"));

struct BadBech32Case {
  std::string name;
  std::string text;
};
const BadBech32Case kBadBech32[] = {
    {"prefix_character_0x20",
     "\x20"
     "1nwldj5"},
    {"prefix_character_0x7f",
     "\x7f"
     "1axkwrx"},
    {"prefix_character_0x80",
     "\x80"
     "1eym55h"},
    {"no_separator", "pzry9x0s0muk"},
    {"empty_prefix", "1pzry9x0s0muk"},
    {"foreign_character", "x1b4n0q5v"},
    {"checksum_too_short", "li1dgmt3"},
    {"foreign_character_in_checksum", "de1lg7wt\xff"},
    {"checksum_of_upper_case_prefix", "A1G7SGD8"},
    {"empty_prefix_2", "10a06t8"},
    {"empty_prefix_3", "1qzzfhee"},
    {"empty", ""},
    {"mixed_case", "A12uEL5L"},
    {"mixed_case_prefix", "Ab12uel5l"},
    {"trailing_line_feed", "a12uel5l\n"},
    // Right checksums over groups that are no whole bytes (computed with the reference code in BIP 173).
    {"padding_not_zero", "a1lacwuu8k"},
    {"padding_of_a_whole_group", "a1luq25lfhf"},
};
class BadBech32 : public testing::TestWithParam<BadBech32Case> {};
TEST_P(BadBech32, IsRefused) { EXPECT_FALSE(from_bech32(GetParam().text)); }
INSTANTIATE_TEST_SUITE_P(Bech32, BadBech32, testing::ValuesIn(kBadBech32),
                         [](const auto& info) { return info.param.name; });

TEST(Bech32, AgeKeysOfTheSpecification) {
  // The identity that C2SP/CCTV's age vectors use.
  const std::string identity = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0";
  const auto decoded = from_bech32(identity);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->prefix, "AGE-SECRET-KEY-");
  EXPECT_EQ(decoded->data.size(), 32u);
  EXPECT_EQ(to_bech32("AGE-SECRET-KEY-", decoded->data), identity);
}

TEST(Bech32, HasNoLimitOfLength) {
  for (std::size_t size = 0; size < 300; ++size) {
    Bytes data(size);
    fill_random(data);
    const auto decoded = from_bech32(to_bech32("age1pq", data));
    ASSERT_TRUE(decoded) << size;
    EXPECT_EQ(decoded->data, data);
  }
}

TEST(Bech32, RefusesToWriteABadPrefix) {
  for (const std::string_view prefix : {"", "aB", "a b", "\x7f"}) EXPECT_THROW(to_bech32(prefix, {}), Error) << prefix;
}

// ---- Proquints: the examples of the paper.
using ProquintCase = std::pair<std::string, std::string>;
class ProquintKnown : public testing::TestWithParam<ProquintCase> {};
TEST_P(ProquintKnown, BothWays) {
  EXPECT_EQ(to_proquints(hex(GetParam().first)), GetParam().second);
  EXPECT_EQ(from_proquints(GetParam().second), hex(GetParam().first));
}
INSTANTIATE_TEST_SUITE_P(
    Paper, ProquintKnown,
    testing::Values(ProquintCase{"7f000001", "lusab-babad"}, ProquintCase{"3f54dcc1", "gutih-tugad"},
                    ProquintCase{"3f760723", "gutuk-bisog"}, ProquintCase{"8c62c18d", "mudof-sakat"},
                    ProquintCase{"40ff06c8", "haguz-biram"}, ProquintCase{"801e342d", "mabiv-gibot"},
                    ProquintCase{"93437702", "natag-lisaf"}, ProquintCase{"d43afd44", "tibup-zujah"},
                    ProquintCase{"d82344d7", "tobog-higil"}, ProquintCase{"d844e815", "todah-vobij"},
                    ProquintCase{"c6518188", "sinid-makam"}, ProquintCase{"0c6e6ecc", "budov-kuras"}));

class BadProquint : public testing::TestWithParam<std::string_view> {};
TEST_P(BadProquint, IsRefused) { EXPECT_EQ(from_proquints(GetParam()), std::nullopt); }
INSTANTIATE_TEST_SUITE_P(Proquints, BadProquint,
                         testing::Values("lusa", "lusabb", "lusab-", "-lusab", "lusab-baba", "lusab--babad",
                                         "lusab babad", "lusabbabad", "LUSAB", "lusab-babae", "lusac", "ulsab",
                                         "lusab-babad\n", "lusabababad", "-----"));

TEST(Proquints, EveryWordBothWays) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const ByteArray<2> word{static_cast<std::byte>(i >> 8), static_cast<std::byte>(i)};
    const auto back = from_proquints(to_proquints(word));
    ASSERT_TRUE(back && std::ranges::equal(*back, word)) << i;
  }
}

TEST(Proquints, EmptyIsEmpty) {
  EXPECT_EQ(to_proquints({}), "");
  EXPECT_EQ(from_proquints(""), Bytes{});
}

TEST(Proquints, OddNumberOfBytesIsABug) { EXPECT_THROW(to_proquints(Bytes(3)), Error); }

}  // namespace
}  // namespace casevault
