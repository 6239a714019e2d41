#include "vault/access/strength.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/encoding.h"
#include "crypto/random.h"

namespace casevault {
namespace {

PassphraseStrength rate(std::string_view text) {
  return rate_passphrase(SecretBytes::copy_of(as_bytes(text)), {"anna", "Правовая помощь"});
}

struct StrengthRow {
  const char* name;
  const char* passphrase;
  double at_least;  // bits
  double at_most;
};
void PrintTo(const StrengthRow& row, std::ostream* out) { *out << row.name; }

class Strength : public testing::TestWithParam<StrengthRow> {};
TEST_P(Strength, IsWithinItsBounds) {
  const double bits = rate(GetParam().passphrase).bits;
  EXPECT_GE(bits, GetParam().at_least);
  EXPECT_LE(bits, GetParam().at_most);
}

INSTANTIATE_TEST_SUITE_P(
    Refused, Strength,
    testing::Values(StrengthRow{"empty", "", 0, 0}, StrengthRow{"password", "P@ssw0rd", 0, 20},
                    StrengthRow{"keyboard_row", "qwerty", 0, 20},
                    StrengthRow{"keyboard_rows", "zxcvbnm,./asdfghjkl;", 0, 40},
                    StrengthRow{"cyrillic_password", "пароль123", 0, 30},
                    StrengthRow{"cyrillic_keyboard_row", "йцукен12345", 0, 30},
                    StrengthRow{"cyrillic_long_row", "йцукенгшщзхъфывапролдж", 0, 40},
                    StrengthRow{"one_long_cyrillic_word", "превысокомногорассмотрительствующий", 0, 59},
                    StrengthRow{"user", "anna anna anna", 0, 30}, StrengthRow{"organisation", "Правовая помощь", 0, 30},
                    StrengthRow{"organisation_on_the_other_layout", "Ghfdjdfz gjvjom", 0, 40},
                    StrengthRow{"date", "2019-05-01", 0, 30}, StrengthRow{"repeated", "aaaaaaaaaaaaaaaaaaaaaaa", 0, 30},
                    StrengthRow{"four_words", "correct horse battery staple", 40, 59},
                    StrengthRow{"four_words_with_dots", "correct.horse.battery.staple", 40, 59},
                    StrengthRow{"four_cyrillic_words", "зелёный верблюд считает трамвай", 40, 59},
                    StrengthRow{"four_transliterated_words", "zelenyj verblyud schitaet tramvai", 40, 59},
                    StrengthRow{"four_georgian_words", "გამარჯობა მეგობარო კარგი დღე", 40, 59}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Accepted, Strength,
                         testing::Values(StrengthRow{"five_words", "correct horse battery staple tramway", 60, 80},
                                         StrengthRow{"five_cyrillic_words", "зелёный верблюд считает трамвай салфетка",
                                                     60, 80},
                                         StrengthRow{"random_signs", "T7#kq9!zLw2@", 60, 90},
                                         StrengthRow{"random_letters", "xkqjvbnwpzmdhsgtylcr", 60, 100},
                                         StrengthRow{"random_cyrillic_signs", "ж7Ы#пR2ё!кЩ9", 60, 90}),
                         [](const auto& info) { return info.param.name; });

TEST(PassphraseStrengthTest, SuggestionsAreAccepted) {
  init_crypto();
  for (int i = 0; i < 100; ++i) {
    const std::string suggestion = to_proquints(random_array<12>());
    EXPECT_TRUE(rate(suggestion).is_enough()) << suggestion;
  }
}

TEST(PassphraseStrengthTest, SaysWhatTheWeaknessIs) {
  EXPECT_THAT(rate("пароль123").weakness, testing::HasSubstr("common words or passwords"));
  EXPECT_THAT(rate("anna anna").weakness, testing::HasSubstr("a name"));
  EXPECT_THAT(rate("zxcvbnm,./asdfghjkl;").weakness, testing::HasSubstr("keyboard"));
  EXPECT_THAT(rate("зелёный верблюд считает трамвай").weakness, testing::HasSubstr("too few words"));
}

TEST(PassphraseStrengthTest, BytesThatAreNotTextAreRatedToo) {
  EXPECT_FALSE(rate("\xff\xfe").is_enough());
  EXPECT_GT(rate("\xff\xfeT7#kq9!zLw2@\x80").bits, 60);
}

TEST(GuessingTimeTest, IsInPlainWords) {
  EXPECT_EQ(guessing_time(0), "a second");
  EXPECT_EQ(guessing_time(24), "about 8 seconds");
  EXPECT_EQ(guessing_time(40), "about 6 days");
  EXPECT_EQ(guessing_time(50), "about 18 years");
  EXPECT_EQ(guessing_time(60), "more than a thousand years");
}

}  // namespace
}  // namespace casevault
