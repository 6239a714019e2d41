#include "vault/text.h"

#include <array>

#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

using std::string_literals::operator""s;

// ---- UTF-8.
struct Utf8Row {
  const char* name;
  std::string text;
  bool ok;
};
void PrintTo(const Utf8Row& row, std::ostream* out) { *out << row.name; }

class Utf8 : public testing::TestWithParam<Utf8Row> {};
TEST_P(Utf8, IsToldApart) { EXPECT_EQ(is_utf8(GetParam().text), GetParam().ok); }

INSTANTIATE_TEST_SUITE_P(
    Table, Utf8,
    testing::Values(
        Utf8Row{"empty", "", true}, Utf8Row{"ascii", "a\n\x7f", true}, Utf8Row{"nul", "\0"s, true},
        Utf8Row{"two_bytes", "\xc2\x80 \xdf\xbf", true}, Utf8Row{"three_bytes", "\xe0\xa0\x80 \xef\xbf\xbf", true},
        Utf8Row{"around_surrogates", "\xed\x9f\xbf \xee\x80\x80", true},
        Utf8Row{"four_bytes", "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", true}, Utf8Row{"lone_continuation", "\x80", false},
        Utf8Row{"overlong_two", "\xc0\xaf", false}, Utf8Row{"overlong_two_c1", "\xc1\xbf", false},
        Utf8Row{"overlong_three", "\xe0\x9f\xbf", false}, Utf8Row{"overlong_four", "\xf0\x8f\xbf\xbf", false},
        Utf8Row{"surrogate_low", "\xed\xa0\x80", false}, Utf8Row{"surrogate_high", "\xed\xbf\xbf", false},
        Utf8Row{"above_10ffff", "\xf4\x90\x80\x80", false}, Utf8Row{"five_bytes", "\xf8\x88\x80\x80\x80", false},
        Utf8Row{"fe", "\xfe", false}, Utf8Row{"ff", "\xff", false}, Utf8Row{"cut_two", "\xd0", false},
        Utf8Row{"cut_three", "\xe2\x82", false}, Utf8Row{"cut_four", "\xf0\x9f\x98", false},
        Utf8Row{"broken_off_by_ascii", "\xe2\x82x", false}),
    test::row_name<Utf8Row>);

// Every code point, encoded by a table of its own.
std::string encode(char32_t code) {
  const auto byte = [](char32_t value) { return static_cast<char>(value); };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xC0 | code >> 6), byte(0x80 | (code & 0x3F))};
  if (code < 0x10000) return {byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 0x3F)), byte(0x80 | (code & 0x3F))};
  return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 0x3F)), byte(0x80 | (code >> 6 & 0x3F)),
          byte(0x80 | (code & 0x3F))};
}

TEST(Utf8, EveryCodePointButSurrogates) {
  for (char32_t code = 0; code < 0x110100; ++code) {
    const bool ok = (code < 0xD800 || code > 0xDFFF) && code <= 0x10FFFF;
    ASSERT_EQ(is_utf8(encode(code)), ok) << static_cast<unsigned>(code);
  }
}

// ---- For the terminal.
struct TextRow {
  const char* name;
  std::string text;
  std::string expected;
};
void PrintTo(const TextRow& row, std::ostream* out) { *out << row.name; }

class Escape : public testing::TestWithParam<TextRow> {};
TEST_P(Escape, ForDisplay) {
  const std::string escaped = escape_for_display(GetParam().text);
  EXPECT_EQ(escaped, GetParam().expected);
  EXPECT_EQ(escape_for_display(escaped), escaped) << "twice is once";
}

INSTANTIATE_TEST_SUITE_P(
    Table, Escape,
    testing::Values(TextRow{"empty", "", ""}, TextRow{"plain", "a b.txt", "a b.txt"},
                    TextRow{"cyrillic", "Протокол №5 ёй", "Протокол №5 ёй"},
                    TextRow{"arabic_letters", "شهادة", "شهادة"}, TextRow{"combining_marks", "и\u0306", "и\u0306"},
                    TextRow{"emoji_with_selector", "❤\ufe0f", "❤\ufe0f"}, TextRow{"new_line", "a\nb", "a\\nb"},
                    TextRow{"carriage_return", "a\rb", "a\\rb"}, TextRow{"tabulator", "a\tb", "a\\tb"},
                    TextRow{"nul", "a\0b"s, "a\\x00b"}, TextRow{"terminal_sequence", "\x1b[2J", "\\x1b[2J"},
                    TextRow{"delete", "\x7f", "\\x7f"}, TextRow{"c1", "\xc2\x9b", "\\u009b"},
                    TextRow{"bare_c1_byte", "\x9b", "\\x9b"}, TextRow{"override", "a\u202egnp.exe", "a\\u202egnp.exe"},
                    TextRow{"isolate", "\u2066\u2069", "\\u2066\\u2069"},
                    TextRow{"marks", "\u200e\u200f\u061c", "\\u200e\\u200f\\u061c"},
                    TextRow{"zero_width", "a\u200bb\u200d\ufeff", "a\\u200bb\\u200d\\ufeff"},
                    TextRow{"line_separators", "\u2028\u2029\u0085", "\\u2028\\u2029\\u0085"},
                    TextRow{"soft_hyphen", "a\u00adb", "a\\u00adb"}, TextRow{"tag", "\U000e0041", "\\U000e0041"},
                    TextRow{"latin1", "caf\xe9", "caf\\xe9"}, TextRow{"cut_character", "\xd0", "\\xd0"},
                    TextRow{"overlong_slash", "\xc0\xaf", "\\xc0\\xaf"}, TextRow{"backslash", "a\\b", "a\\b"}),
    test::row_name<TextRow>);

// ---- As a file name.
class SafeName : public testing::TestWithParam<TextRow> {};
TEST_P(SafeName, IsAsExpected) {
  const std::string safe = safe_file_name(GetParam().text);
  EXPECT_EQ(safe, GetParam().expected);
  EXPECT_EQ(safe_file_name(safe), safe) << "twice is once";
}

INSTANTIATE_TEST_SUITE_P(
    Table, SafeName,
    testing::Values(TextRow{"empty", "", "_"}, TextRow{"plain", "a b.txt", "a b.txt"},
                    TextRow{"cyrillic", "Протокол №5.docx", "Протокол №5.docx"}, TextRow{"dot", ".", "_"},
                    TextRow{"dot_dot", "..", "__"}, TextRow{"traversal", "../../etc/passwd", "___.._etc_passwd"},
                    TextRow{"hidden", ".bashrc", "_bashrc"}, TextRow{"option", "-rf", "_rf"},
                    TextRow{"option_long", "--help", "__help"},
                    TextRow{"forbidden", "a/b\\c:d*e?f\"g<h>i|j", "a_b_c_d_e_f_g_h_i_j"},
                    TextRow{"new_line", "a\nb.txt", "a_b.txt"}, TextRow{"override", "a\u202egnp.exe", "a_gnp.exe"},
                    TextRow{"not_utf8", "caf\xe9.txt", "caf_.txt"}, TextRow{"nul", "a\0b"s, "a_b"},
                    TextRow{"trailing_dots", "a..", "a__"}, TextRow{"trailing_spaces", "a. ", "a__"},
                    TextRow{"only_spaces", "  ", "__"}, TextRow{"inner_dots", "a..b", "a..b"},
                    TextRow{"device", "CON", "_CON"}, TextRow{"device_with_extension", "con.txt", "_con.txt"},
                    TextRow{"device_with_extensions", "Nul.tar.gz", "_Nul.tar.gz"},
                    TextRow{"device_with_space", "AUX .txt", "_AUX .txt"}, TextRow{"port", "com1", "_com1"},
                    TextRow{"port_superscript", "LPT².x", "_LPT².x"}, TextRow{"console", "CONIN$", "_CONIN$"},
                    TextRow{"no_device", "CONTRACT.txt", "CONTRACT.txt"}, TextRow{"no_port", "COM10", "COM10"},
                    TextRow{"long_with_extension", std::string(255, 'x') + ".txt", std::string(196, 'x') + ".txt"},
                    TextRow{"long_without_extension", std::string(255, 'x'), std::string(200, 'x')},
                    TextRow{"long_extension", "a." + std::string(255, 'x'), "a." + std::string(198, 'x')}),
    test::row_name<TextRow>);

TEST(SafeName, IsCutBetweenCharacters) {
  EXPECT_EQ(safe_file_name("ёёё", 5), "ёё");
  EXPECT_EQ(safe_file_name("ёёё.txt", 7), "ё.txt");
  EXPECT_EQ(safe_file_name("ёёё.txt", 4), "ёё");
  EXPECT_EQ(safe_file_name("ё", 1), "_");
}

TEST(SafeName, LaidBareByTheCut) {
  EXPECT_EQ(safe_file_name("abc. def", 5), "abc__");
  EXPECT_EQ(safe_file_name("console", 3), "_on");
}

// Whatever comes in, what comes out is one component, short enough, and needs no further change.
TEST(SafeName, HoldsItsPromiseForNoise) {
  constexpr std::array<std::string_view, 14> kPieces{".", " ",  "-",    "/", "CON", "nul",    "a",
                                                     "ж", "\n", "\xff", "1", "com", "\u202e", "$"};
  const Bytes choices = test::noise(60'000);
  for (std::size_t i = 0; i + 12 <= choices.size(); i += 12) {
    std::string name;
    for (std::size_t j = 0; j < 8; ++j) name += kPieces[std::to_integer<unsigned>(choices[i + j]) % kPieces.size()];
    const std::size_t limit = 1 + std::to_integer<unsigned>(choices[i + 8]) % 20;
    const std::string safe = safe_file_name(name, limit);
    ASSERT_FALSE(safe.empty()) << name;
    ASSERT_LE(safe.size(), limit) << name;
    ASSERT_EQ(safe_file_name(safe, limit), safe) << name;
    ASSERT_TRUE(is_utf8(safe) && safe.find_first_of("/\n\xff") == std::string::npos && safe[0] != '.' && safe[0] != '-')
        << safe;
    ASSERT_TRUE(safe.back() != '.' && safe.back() != ' ') << safe;
  }
}

// ---- For the index.
class Fold : public testing::TestWithParam<TextRow> {};
TEST_P(Fold, ForSearch) { EXPECT_EQ(fold_for_search(GetParam().text), GetParam().expected); }

INSTANTIATE_TEST_SUITE_P(Table, Fold,
                         testing::Values(TextRow{"empty", "", ""}, TextRow{"small_yo", "ёлка", "елка"},
                                         TextRow{"capital_yo", "ЁЛКА", "ЕЛКА"},
                                         TextRow{"decomposed_yo", "е\u0308лка Е\u0308", "елка Е"},
                                         TextRow{"other_diaeresis", "u\u0308 ї", "u\u0308 ї"},
                                         TextRow{"short_i_stays", "Алексей", "Алексей"},
                                         TextRow{"not_utf8_stays", "\xd1 \x91", "\xd1 \x91"}),
                         test::row_name<TextRow>);

}  // namespace
}  // namespace casevault
