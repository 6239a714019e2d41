#include "vault/sharing/bag.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;

// The message of the error that `action` ends with; empty when it ends well.
std::string message_of(const std::function<void()>& action) {
  const auto error = test::error_of(action);
  return error ? error->what() : "";
}

std::string repeat(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

// ---- Paths.
struct PathRow {
  const char* name;
  std::string path;
  std::string fault;  // empty: none
};
void PrintTo(const PathRow& row, std::ostream* out) { *out << row.name; }

class BagPath : public testing::TestWithParam<PathRow> {};
TEST_P(BagPath, FaultIsFound) { EXPECT_EQ(find_path_fault(GetParam().path).value_or(""), GetParam().fault); }

INSTANTIATE_TEST_SUITE_P(
    Table, BagPath,
    testing::Values(
        PathRow{"plain", "data/C-1/letter.pdf", ""}, PathRow{"cyrillic", "data/Дело № 1/письмо.pdf", ""},
        PathRow{"spaces_inside", "data/a  b/ c", ""}, PathRow{"dots_inside", "data/.keep/a..b/...c", ""},
        PathRow{"tilde_and_dash", "~user/-rf", ""}, PathRow{"asterisk_inside", "data/*", ""},
        PathRow{"quotes", "data/\"a'b`$(c)", ""}, PathRow{"composed", "data/\u0439", ""},
        PathRow{"emoji", "data/\u2764\ufe0f", ""}, PathRow{"longest_component", repeat("a", 255), ""},
        PathRow{"longest_path", repeat("a/", 31) + repeat(repeat("b", 254) + "/", 15) + repeat("c", 208), ""},
        PathRow{"deepest", repeat("a/", 63) + "a", ""},

        PathRow{"empty", "", "is empty"}, PathRow{"absolute", "/data/a", "is absolute"},
        PathRow{"root", "/", "is absolute"}, PathRow{"empty_component", "data//a", "has an empty component"},
        PathRow{"slash_at_end", "data/a/", "has an empty component"}, PathRow{"dot", ".", "has a component '.'"},
        PathRow{"dot_first", "./data/a", "has a component '.'"},
        PathRow{"dot_inside", "data/./a", "has a component '.'"}, PathRow{"dot_last", "data/.", "has a component '.'"},
        PathRow{"climbing", "../a", "climbs out by '..'"},
        PathRow{"climbing_inside", "data/../../a", "climbs out by '..'"},
        PathRow{"climbing_last", "data/..", "climbs out by '..'"}, PathRow{"backslash", "data\\a", "has a backslash"},
        PathRow{"percent", "data/100%", "has a percent sign"},
        PathRow{"percent_encoded", "data/a%0Ab", "has a percent sign"},
        PathRow{"dot_at_end", "data/a./b", "has a component that ends with a dot or a space"},
        PathRow{"three_dots", "data/...", "has a component that ends with a dot or a space"},
        PathRow{"space_at_end", "data/a ", "has a component that ends with a dot or a space"},
        PathRow{"space_at_start", " data/a", "begins with a space or an asterisk"},
        PathRow{"asterisk_at_start", "*data/a", "begins with a space or an asterisk"},
        PathRow{"nul", "data/a\0b"s, "has control, bidirectional or invisible characters"},
        PathRow{"line_feed", "data/a\nb", "has control, bidirectional or invisible characters"},
        PathRow{"carriage_return", "data/a\rb", "has control, bidirectional or invisible characters"},
        PathRow{"tab", "data/a\tb", "has control, bidirectional or invisible characters"},
        PathRow{"escape", "data/\x1b[2J", "has control, bidirectional or invisible characters"},
        PathRow{"delete", "data/\x7f", "has control, bidirectional or invisible characters"},
        PathRow{"c1", "data/\u009b", "has control, bidirectional or invisible characters"},
        PathRow{"override", "data/\u202efdp.exe", "has control, bidirectional or invisible characters"},
        PathRow{"isolate", "data/\u2066a", "has control, bidirectional or invisible characters"},
        PathRow{"zero_width", "data/a\u200b", "has control, bidirectional or invisible characters"},
        PathRow{"byte_order_mark", "\ufeffdata/a", "has control, bidirectional or invisible characters"},
        PathRow{"latin_1", "data/\xe9", "is not UTF-8"}, PathRow{"overlong_slash", "data\xc0\xaf..", "is not UTF-8"},
        PathRow{"surrogate", "data/\xed\xa0\x80", "is not UTF-8"},
        PathRow{"decomposed", "data/\u0438\u0306", "is not in Unicode normalization form C"},
        PathRow{"singleton", "data/\u212b", "is not in Unicode normalization form C"},
        PathRow{"marks_out_of_order", "data/q\u0307\u0323", "is not in Unicode normalization form C"},
        PathRow{"component_too_long", "data/" + repeat("a", 256), "has a component of more than 255 bytes"},
        PathRow{"component_too_long_in_bytes", repeat("ж", 128), "has a component of more than 255 bytes"},
        PathRow{"path_too_long", repeat("a/", 31) + repeat(repeat("b", 254) + "/", 15) + repeat("c", 210),
                "has more than 4096 bytes"},
        PathRow{"too_deep", repeat("a/", 64) + "a", "has more than 64 components"}),
    test::row_name<PathRow>);

TEST(BagNames, NormalizeAndFold) {
  EXPECT_EQ(nfc("plain"), "plain");
  EXPECT_EQ(nfc("\u0438\u0306"), "\u0439");
  EXPECT_EQ(case_fold("ПИСЬМО"), "письмо");
  EXPECT_EQ(case_fold("\u0418\u0306"), "\u0439");
  EXPECT_EQ(case_fold("STRASSE"), case_fold("straße"));  // full folding
  EXPECT_EQ(case_fold("\u212a"), "k");                   // Kelvin
  EXPECT_EQ(case_fold("ΣΊΣΥΦΟΣ"), case_fold("σίσυφος"));
  EXPECT_EQ(nfc("a\0b"s), "a\0b"s);
  EXPECT_EQ(case_fold("A\0B"s), "a\0b"s);
  EXPECT_EQ(test::code_of([] { nfc("\xff"); }), Errc::kDamaged);
  EXPECT_EQ(test::code_of([] { case_fold("\xff"); }), Errc::kDamaged);
}

TEST(BagNames, FoldingTwiceIsFoldingOnce) {
  for (char32_t code = 1; code < 0x20000; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else if (code < 0x800) {
      text += {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
    } else {
      if (code < 0x10000) text += static_cast<char>(0xE0 | code >> 12);
      if (code >= 0x10000)
        text += {static_cast<char>(0xF0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 0x3F))};
      text += {static_cast<char>(0x80 | (code >> 6 & 0x3F)), static_cast<char>(0x80 | (code & 0x3F))};
    }
    for (const auto& whole : {text, text + "\u0345\u0301"}) {
      const std::string folded = case_fold(whole);
      ASSERT_EQ(case_fold(folded), folded) << static_cast<unsigned>(code);
      ASSERT_EQ(nfc(folded), folded) << static_cast<unsigned>(code);
      ASSERT_EQ(case_fold(nfc(whole)), folded) << static_cast<unsigned>(code);
    }
  }
}

// ---- Paths together. A path with a slash at its end stands for a folder.
struct SetRow {
  const char* name;
  std::vector<std::string> paths;
  std::string fault;  // of the last; the others have none
};
void PrintTo(const SetRow& row, std::ostream* out) { *out << row.name; }

std::optional<std::string> add(PathSet& set, std::string path) {
  if (!path.ends_with('/')) return set.add_file(path);
  path.pop_back();
  return set.add_folder(path);
}

class BagPathSet : public testing::TestWithParam<SetRow> {};
TEST_P(BagPathSet, TellsWhatCannotStandTogether) {
  PathSet set;
  for (std::size_t i = 0; i < GetParam().paths.size(); ++i) {
    const bool last = i + 1 == GetParam().paths.size();
    EXPECT_EQ(add(set, GetParam().paths[i]).value_or(""), last ? GetParam().fault : "");
  }
}

const std::string kTwice = "is there twice (capitals do not count)";
const std::string kFileAndFolder = "is a file and also a folder (capitals do not count)";
const std::string kFolderIsFile = "has a folder that is a file elsewhere (capitals do not count)";
INSTANTIATE_TEST_SUITE_P(Table, BagPathSet,
                         testing::Values(SetRow{"different", {"a", "b", "c/a", "c/b/a", "ca"}, ""},
                                         SetRow{"twice", {"c/a", "c/a"}, kTwice},
                                         SetRow{"capitals", {"c/Дело", "C/дЕЛО"}, kTwice},
                                         SetRow{"full_folding", {"straße", "STRASSE"}, kTwice},
                                         SetRow{"folder_is_file", {"a", "A/b"}, kFolderIsFile},
                                         SetRow{"upper_folder_is_file", {"a/b", "a/b/c/d/e"}, kFolderIsFile},
                                         SetRow{"file_is_folder", {"a/b/c", "A"}, kFileAndFolder},
                                         SetRow{"file_is_inner_folder", {"a/b/c", "a/B"}, kFileAndFolder},
                                         SetRow{"folders_may_repeat", {"a/", "a/b/", "a/", "A/b/", "a/b/c"}, ""},
                                         SetRow{"file_is_given_folder", {"a/b/", "a/b"}, kFileAndFolder},
                                         SetRow{"given_folder_is_file", {"a/b", "a/b/"}, kFolderIsFile},
                                         SetRow{"bad_path", {"../a"}, "climbs out by '..'"},
                                         SetRow{"bad_folder", {"../"}, "climbs out by '..'"}),
                         test::row_name<SetRow>);

TEST(BagNames, HaveAnUpperNumber) {
  PathSet files;
  for (std::size_t i = 0; i < kMaxBagPaths; ++i) ASSERT_EQ(files.add_file(std::to_string(i)), std::nullopt);
  EXPECT_THAT(files.add_file("one more").value_or(""), HasSubstr("one too many"));
  PathSet folders;
  std::optional<std::string> fault;
  std::size_t count = 0;
  const std::string deep = repeat("/d", 60);
  while (!fault && count <= kMaxBagPaths) fault = folders.add_folder(std::to_string(++count) + deep);
  EXPECT_THAT(fault.value_or(""), HasSubstr("one too many"));
  EXPECT_LT(count, kMaxBagPaths / 60);
}

// ---- What a file is.
TEST(BagPart, ByPath) {
  EXPECT_EQ(bag_part("bagit.txt"), BagPart::kDeclaration);
  EXPECT_EQ(bag_part("bag-info.txt"), BagPart::kInfo);
  EXPECT_EQ(bag_part("manifest-sha256.txt"), BagPart::kManifest);
  EXPECT_EQ(bag_part("tagmanifest-sha256.txt"), BagPart::kTagManifest);
  EXPECT_EQ(bag_part("tagmanifest-sha256.txt.minisig"), BagPart::kOtherTagFile);
  EXPECT_EQ(bag_part("casevault/bundle.json"), BagPart::kOtherTagFile);
  EXPECT_EQ(bag_part("data/fetch.txt"), BagPart::kPayload);
  EXPECT_EQ(bag_part("data/manifest-md5.txt"), BagPart::kPayload);
}

TEST(BagPart, RefusedByName) {
  for (const char* path : {"fetch.txt", "FETCH.txt", "manifest-md5.txt", "manifest-sha512.txt", "tagmanifest-sha1.txt",
                           "Manifest-SHA256.txt", "BagIt.txt", "data", "Data/a"}) {
    const auto error = test::error_of([&] { bag_part(path); });
    ASSERT_TRUE(error) << path;
    EXPECT_EQ(error->code(), Errc::kDamaged);
    EXPECT_THAT(error->what(), HasSubstr(path));
  }
}

// ---- Texts: what parses, and what is said when it does not.
struct TextRow {
  const char* name;
  std::string text;
  std::string fault;  // empty: none
};
void PrintTo(const TextRow& row, std::ostream* out) { *out << row.name; }

void expect_fault(const TextRow& row, const std::function<void()>& parse) {
  const auto error = test::error_of(parse);
  EXPECT_EQ(error.has_value(), !row.fault.empty()) << (error ? error->what() : "no error");
  if (!error) return;
  EXPECT_EQ(error->code(), Errc::kDamaged);
  EXPECT_THAT(error->what(), HasSubstr(row.fault));
}

class BagDeclaration : public testing::TestWithParam<TextRow> {};
TEST_P(BagDeclaration, IsRead) {
  expect_fault(GetParam(), [] { check_bag_declaration(GetParam().text); });
}

const std::string kEncodingLine = "Tag-File-Character-Encoding: UTF-8\n";
INSTANTIATE_TEST_SUITE_P(
    Table, BagDeclaration,
    testing::Values(TextRow{"ours", encode_bag_declaration(), ""},
                    TextRow{"fixed", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", ""},
                    TextRow{"crlf", "BagIt-Version: 1.0\r\nTag-File-Character-Encoding: UTF-8\r\n", ""},
                    TextRow{"cr", "BagIt-Version: 1.0\rTag-File-Character-Encoding: UTF-8\r", ""},
                    TextRow{"no_last_end", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8", ""},
                    TextRow{"lower_case_encoding", "BagIt-Version: 1.0\nTag-File-Character-Encoding: utf-8\n", ""},
                    TextRow{"empty", "", "not the two lines"},
                    TextRow{"one_line", "BagIt-Version: 1.0\n", "not the two"},
                    TextRow{"three_lines", encode_bag_declaration() + "More: 1\n", "not the two lines"},
                    TextRow{"blank_line", encode_bag_declaration() + "\n", "not the two lines"},
                    TextRow{"other_order", kEncodingLine + "BagIt-Version: 1.0\n", "not the two lines"},
                    TextRow{"label_case", "Bagit-Version: 1.0\n" + kEncodingLine, "not the two lines"},
                    TextRow{"space_before_colon", "BagIt-Version : 1.0\n" + kEncodingLine, "not the two lines"},
                    TextRow{"no_space", "BagIt-Version:1.0\n" + kEncodingLine, "not the two lines"},
                    TextRow{"two_spaces", "BagIt-Version:  1.0\n" + kEncodingLine, "version is not 1.0"},
                    TextRow{"space_at_end", "BagIt-Version: 1.0 \n" + kEncodingLine, "version is not 1.0"},
                    TextRow{"older", "BagIt-Version: 0.97\n" + kEncodingLine, "version is not 1.0"},
                    TextRow{"newer", "BagIt-Version: 1.1\n" + kEncodingLine, "version is not 1.0"},
                    TextRow{"latin_1", "BagIt-Version: 1.0\nTag-File-Character-Encoding: ISO-8859-1\n", "not UTF-8"},
                    TextRow{"byte_order_mark", "\ufeff" + encode_bag_declaration(), "byte order mark"},
                    TextRow{"not_utf8", "BagIt-Version: \xff\n" + kEncodingLine, "not UTF-8"},
                    TextRow{"huge", encode_bag_declaration() + std::string(2000, 'a'), "larger than"}),
    test::row_name<TextRow>);

// ---- Manifests.
const std::string kHex = repeat("0123456789abcdef", 4);
const std::string kUpperHex = repeat("0123456789ABCDEF", 4);

class BagManifest : public testing::TestWithParam<TextRow> {};
TEST_P(BagManifest, IsRead) {
  expect_fault(GetParam(), [] {
    for (const auto& entry : parse_manifest(ManifestKind::kPayload, GetParam().text)) {
      EXPECT_EQ(to_hex(entry.digest), kHex);
      EXPECT_TRUE(entry.path == "data/a" || entry.path == "data/b c") << entry.path;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(
    Table, BagManifest,
    testing::Values(
        TextRow{"empty", "", ""}, TextRow{"sha256sum", kHex + "  data/a\n" + kHex + "  data/b c\n", ""},
        TextRow{"one_space", kHex + " data/a\n", ""}, TextRow{"tab", kHex + "\tdata/a\n", ""},
        TextRow{"many_spaces", kHex + " \t  data/a\n", ""}, TextRow{"upper_case", kUpperHex + "  data/a\n", ""},
        TextRow{"crlf", kHex + "  data/a\r\n" + kHex + "  data/b c\r\n", ""},
        TextRow{"cr", kHex + "  data/a\r" + kHex + "  data/b c\r", ""}, TextRow{"no_last_end", kHex + "  data/a", ""},
        TextRow{"asterisk", kHex + " *data/a\n", "sha256sum -b"},
        TextRow{"no_space", kHex + "data/a\n", "it is not '<64"},
        TextRow{"space_first", " " + kHex + "  data/a\n", "it is not '<64"},
        TextRow{"backslash_first", "\\" + kHex + "  data/a\\\\b\n", "it is not '<64"},
        TextRow{"short", kHex.substr(1) + "  data/a\n", "it is not '<64"},
        TextRow{"long", kHex + "0  data/a\n", "it is not '<64"},
        TextRow{"sha512", kHex + kHex + "  data/a\n", "it is not '<64"},
        TextRow{"not_hex", "g" + kHex.substr(1) + "  data/a\n", "it is not '<64"},
        TextRow{"no_path", kHex + "\n", "it is not '<64"}, TextRow{"blank_path", kHex + "  \n", "it is not '<64"},
        TextRow{"blank_line", kHex + "  data/a\n\n", "line 2: it is not '<64"},
        TextRow{"comment", "# by hand\n" + kHex + "  data/a\n", "line 1: it is not '<64"},
        TextRow{"bsd", "SHA256 (data/a) = " + kHex + "\n", "it is not '<64"},
        TextRow{"twice", kHex + "  data/a\n" + kHex + "  data/a\n", "line 2: the path 'data/a' is there twice"},
        TextRow{"twice_by_case", kHex + "  data/a\n" + kHex + "  data/A\n", "'data/A' is there twice"},
        TextRow{"folder_is_file", kHex + "  data/a\n" + kHex + "  data/a/b\n", "folder that is a file"},
        TextRow{"outside", kHex + "  bagit.txt\n", "'bagit.txt' is not below data/"},
        TextRow{"only_data", kHex + "  data\n", "'data' is not below data/"},
        TextRow{"capital_data", kHex + "  Data/a\n", "is not below data/"},
        TextRow{"climbing", kHex + "  data/../../a\n", "climbs out"},
        TextRow{"absolute", kHex + "  /data/a\n", "absolute"},
        TextRow{"percent_encoded", kHex + "  data/a%0Ab\n", "percent"},
        TextRow{"dot", kHex + "  ./data/a\n", "component '.'"},
        TextRow{"override", kHex + "  data/\u202ea\n", "'data/\\u202ea' has control"},
        TextRow{"decomposed", kHex + "  data/\u0438\u0306\n", "normalization form C"},
        TextRow{"byte_order_mark", "\ufeff" + kHex + "  data/a\n", "byte order mark"},
        TextRow{"not_utf8", kHex + "  data/\xe9\n", "it is not UTF-8"}),
    test::row_name<TextRow>);

class BagTagManifest : public testing::TestWithParam<TextRow> {};
TEST_P(BagTagManifest, IsRead) {
  expect_fault(GetParam(), [] { parse_manifest(ManifestKind::kTag, GetParam().text); });
}

const std::string kManifestLine = kHex + "  manifest-sha256.txt\n";
INSTANTIATE_TEST_SUITE_P(
    Table, BagTagManifest,
    testing::Values(
        TextRow{"least", kManifestLine, ""},
        TextRow{"more", kManifestLine + kHex + " bagit.txt\n" + kHex + " casevault/bundle.json\n", ""},
        TextRow{"empty", "", "does not list manifest-sha256.txt"},
        TextRow{"without_manifest", kHex + "  bagit.txt\n", "does not list manifest-sha256.txt"},
        TextRow{"payload", kManifestLine + kHex + "  data/a\n", "'data/a' is below data/"},
        TextRow{"itself", kManifestLine + kHex + "  tagmanifest-sha256.txt\n", "is the tag manifest itself"},
        TextRow{"other_tag_manifest", kManifestLine + kHex + "  tagmanifest-md5.txt\n", "another algorithm"},
        TextRow{"other_manifest", kManifestLine + kHex + "  manifest-sha512.txt\n", "another algorithm"},
        TextRow{"fetch", kManifestLine + kHex + "  fetch.txt\n", "'fetch.txt' stands for files that are elsewhere"},
        TextRow{"twice", kManifestLine + kManifestLine, "is there twice"}),
    test::row_name<TextRow>);

std::vector<ManifestEntry> some_entries() {
  std::vector<ManifestEntry> entries;
  for (const char* path :
       {"data/C-1/letter.pdf", "data/C-1/Дело № 7/акт (копия).pdf", "data/ two  spaces", "data/*", "data/#"})
    entries.push_back({path, sha256(as_bytes(path))});
  return entries;
}

TEST(BagManifest, ParsesBackToTheSame) {
  const auto entries = some_entries();
  const std::string text = encode_manifest(ManifestKind::kPayload, entries);
  EXPECT_EQ(text.substr(0, 86), to_hex(sha256(as_bytes("data/C-1/letter.pdf"))) + "  data/C-1/letter.pdf\n");
  EXPECT_EQ(parse_manifest(ManifestKind::kPayload, text), entries);
  EXPECT_EQ(encode_manifest(ManifestKind::kPayload, parse_manifest(ManifestKind::kPayload, text)), text);
}

TEST(BagManifest, IsWhatSha256sumChecks) {
  const test::TempFolder folder;
  for (const auto& entry : some_entries()) {
    std::filesystem::create_directories((folder / entry.path).parent_path());
    test::write_file(folder / entry.path, as_bytes(entry.path));
  }
  test::write_file(folder / "m", as_bytes(encode_manifest(ManifestKind::kPayload, some_entries())));
  const std::string check =
      "cd " + folder.path().native() + " && LC_ALL=C sha256sum --quiet --strict -c m >/dev/null 2>&1";
  EXPECT_EQ(std::system(check.c_str()), 0);
  test::write_file(folder / "data/#", as_bytes("changed"));
  EXPECT_NE(std::system(check.c_str()), 0);
}

TEST(BagManifest, RefusesToWriteWhatItWouldNotRead) {
  const auto code = [](ManifestKind kind, std::vector<ManifestEntry> entries) {
    return test::code_of([&] { encode_manifest(kind, entries); });
  };
  EXPECT_EQ(code(ManifestKind::kPayload, {{"bagit.txt", {}}}), Errc::kUsage);
  EXPECT_EQ(code(ManifestKind::kPayload, {{"data/a", {}}, {"data/A", {}}}), Errc::kUsage);
  EXPECT_EQ(code(ManifestKind::kPayload, {{"data/100%", {}}}), Errc::kUsage);
  EXPECT_EQ(code(ManifestKind::kTag, {{"bagit.txt", {}}}), Errc::kUsage);
  EXPECT_EQ(code(ManifestKind::kTag, {{"manifest-sha256.txt", {}}, {"fetch.txt", {}}}), Errc::kUsage);
  EXPECT_EQ(code(ManifestKind::kTag, {{"manifest-sha256.txt", {}}}), std::nullopt);
  std::vector<ManifestEntry> many;
  const std::string folder = "data/" + repeat("a", 250) + "/";
  for (std::size_t i = 0; i < kMaxTagFileSize / 320; ++i) many.push_back({folder + std::to_string(i), {}});
  EXPECT_EQ(code(ManifestKind::kPayload, many), Errc::kUsage);
}

TEST(BagManifest, HasAnUpperSize) {
  EXPECT_THAT(message_of([] { parse_manifest(ManifestKind::kPayload, std::string(kMaxTagFileSize + 1, '\n')); }),
              HasSubstr("larger than 67108864 bytes"));
}

// ---- Metadata.
TEST(BagInfo, Rfc8493Example) {
  const std::string text =
      "Source-Organization: FOO University\n"
      "External-Description: Uncompressed greyscale TIFF images from the\n"
      "     FOO papers colle...\n"
      "Bagging-Date: 2008-01-15\n"
      "Payload-Oxum: 279164409832.1198\n"
      "Bag-Count: 1 of 15\n";
  const std::vector<BagInfoElement> expected{
      {"Source-Organization", "FOO University"},
      {"External-Description", "Uncompressed greyscale TIFF images from the\nFOO papers colle..."},
      {"Bagging-Date", "2008-01-15"},
      {"Payload-Oxum", "279164409832.1198"},
      {"Bag-Count", "1 of 15"}};
  EXPECT_EQ(parse_bag_info(text), expected);
  EXPECT_EQ(payload_oxum(expected), (PayloadOxum{279164409832, 1198}));
}

TEST(BagInfo, ParsesBackToTheSame) {
  const std::vector<BagInfoElement> elements{
      {"Source-Organization", "Коллегия: \"Адвокат\""}, {"Payload-Oxum", encode_payload_oxum({~std::uint64_t{0}, 0})},
      {"Note", "first line \nsecond: line\nthird"},     {"note", ""},
      {"Two words\tand a tab", "  \tspaces kept  "},    {"Empty first", "\nx"}};
  const std::string text = encode_bag_info(elements);
  EXPECT_THAT(text, HasSubstr("Note: first line \n second: line\n third\nnote: \n"));
  EXPECT_EQ(parse_bag_info(text), elements);
  EXPECT_EQ(encode_bag_info(parse_bag_info(text)), text);
  EXPECT_EQ(encode_bag_info({}), "");
}

class BagInfo : public testing::TestWithParam<TextRow> {};
TEST_P(BagInfo, IsRead) {
  expect_fault(GetParam(), [] { parse_bag_info(GetParam().text); });
}

INSTANTIATE_TEST_SUITE_P(
    Table, BagInfo,
    testing::Values(TextRow{"empty", "", ""}, TextRow{"tab", "A:\tb\n", ""},
                    TextRow{"crlf", "A: b\r\n\tc\r\nD: e\r\n", ""}, TextRow{"cr", "A: b\r c\rD: e", ""},
                    TextRow{"repeated", "A: b\nA: c\n", ""}, TextRow{"empty_value", "A: \n", ""},
                    TextRow{"colons", "A: b: c\n", ""},
                    TextRow{"no_colon", "A b\n", "line 1: it is not '<label>: <value>'"},
                    TextRow{"no_space", "A:b\n", "it is not '<label>: <value>'"},
                    TextRow{"nothing_after_colon", "A:\n", "it is not '<label>: <value>'"},
                    TextRow{"blank_line", "A: b\n\nC: d\n", "line 2: it is not '<label>: <value>'"},
                    TextRow{"no_label", ": b\n", "the label '' is empty"},
                    TextRow{"space_before_colon", "A : b\n", "begins or ends with a space"},
                    TextRow{"continues_nothing", " A: b\n", "continues nothing"},
                    TextRow{"blank_continuation", "A: b\n \n", "has an empty line"},
                    TextRow{"nul", "A: b\0c\n"s, "has control characters"},
                    TextRow{"escape", "A: \x1b[2J\n", "has control characters"},
                    TextRow{"control_in_label", "A\x01: b\n", "'A\\x01' has control characters"},
                    TextRow{"byte_order_mark", "\ufeffA: b\n", "byte order mark"},
                    TextRow{"not_utf8", "A: \xe9\n", "it is not UTF-8"},
                    TextRow{"oxum_twice", "Payload-Oxum: 1.1\npayload-oxum: 1.1\n", "Payload-Oxum is there twice"},
                    TextRow{"oxum_words", "Payload-Oxum: many\n", "is not '<bytes>.<files>'"},
                    TextRow{"oxum_one_number", "Payload-Oxum: 12\n", "is not '<bytes>.<files>'"},
                    TextRow{"oxum_three_numbers", "Payload-Oxum: 1.2.3\n", "is not '<bytes>.<files>'"},
                    TextRow{"oxum_negative", "Payload-Oxum: -1.2\n", "is not '<bytes>.<files>'"},
                    TextRow{"oxum_overflow", "Payload-Oxum: 18446744073709551616.1\n", "is not '<bytes>.<files>'"},
                    TextRow{"many", repeat("A: b\n", 10'001), "too many elements"},
                    TextRow{"huge", "A: " + std::string(1 << 20, 'b'), "larger than"}),
    test::row_name<TextRow>);

TEST(BagInfo, RefusesToWriteWhatItWouldNotRead) {
  const std::vector<BagInfoElement> bad{{"", "b"},
                                        {"A:", "b"},
                                        {" A", "b"},
                                        {"A", "b\n"},
                                        {"A", "b\n\nc"},
                                        {"A", "b\n c"},
                                        {"A", "b\r"},
                                        {"A", "\xff"},
                                        {"A\n", "b"},
                                        {"A", "\x1b"},
                                        {"A", std::string(1 << 20, 'b')},
                                        {"Payload-Oxum", "1"}};
  for (const auto& element : bad)
    EXPECT_EQ(test::code_of([&] { encode_bag_info({&element, 1}); }), Errc::kUsage) << element.label << element.value;
}

// ---- The conformance suite of the Library of Congress: every bag, by our parsers. Its bags have manifests by SHA-256,
// SHA-512 or both. Those by SHA-512 are read too, their digits cut to 64 and the algorithm's name in them changed.
struct SuiteBag {
  std::filesystem::path folder;
  std::string algorithm;
  std::vector<std::string> faults;

  void check(const std::function<void()>& action) {
    if (const std::string message = message_of(action); !message.empty()) faults.push_back(message);
  }
};

std::string text_of(const std::filesystem::path& path) { return std::string(as_text(test::read_file(path))); }

// The manifest as if it were by SHA-256, without the lines for other algorithms' manifests.
std::string as_sha256(const std::filesystem::path& path, const std::string& algorithm) {
  std::istringstream in(text_of(path));
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const std::size_t space = line.find(' ');
    const std::string rest = line.substr(space);
    const std::size_t name = rest.find("manifest-");
    if (name != std::string::npos && rest.find(algorithm) == std::string::npos) continue;
    out +=
        line.substr(0, 64) + (name != std::string::npos ? rest.substr(0, name) + "manifest-sha256.txt" : rest) + "\n";
  }
  return out;
}

void check_digests(SuiteBag& bag, const std::vector<ManifestEntry>& entries) {
  for (const auto& entry : entries) {
    const bool is_manifest = entry.path == kManifestPath;
    const auto content =
        test::read_file(bag.folder / (is_manifest ? "manifest-" + bag.algorithm + ".txt" : entry.path));
    if (bag.algorithm == "sha256" && sha256(content) != entry.digest) bag.faults.push_back(entry.path + " is changed");
  }
}

void check_completeness(SuiteBag& bag, const std::vector<ManifestEntry>& entries) {
  std::set<std::string> listed;
  for (const auto& entry : entries) listed.insert(entry.path);
  for (const auto& file : std::filesystem::recursive_directory_iterator(bag.folder / "data")) {
    const std::string path = file.path().lexically_relative(bag.folder).native();
    if (file.is_regular_file() && listed.erase(path) == 0) bag.faults.push_back(path + " is not listed");
  }
  for (const auto& path : listed) bag.faults.push_back(path + " is missing");
}

void check_suite_bag(SuiteBag& bag) {
  bag.check([&] { check_bag_declaration(text_of(bag.folder / "bagit.txt")); });
  if (std::filesystem::exists(bag.folder / "bag-info.txt"))
    bag.check([&] { parse_bag_info(text_of(bag.folder / "bag-info.txt")); });
  bag.check([&] {
    const auto text = as_sha256(bag.folder / ("manifest-" + bag.algorithm + ".txt"), bag.algorithm);
    const auto entries = parse_manifest(ManifestKind::kPayload, text);
    check_completeness(bag, entries);
    check_digests(bag, entries);
  });
  bag.check([&] {
    const auto text = as_sha256(bag.folder / ("tagmanifest-" + bag.algorithm + ".txt"), bag.algorithm);
    check_digests(bag, parse_manifest(ManifestKind::kTag, text));
  });
}

std::vector<std::filesystem::path> suite_bags() {
  std::vector<std::filesystem::path> bags;
  for (const auto& file : test::vector_files("bagit/v1.0")) {
    if (file.empty() || file.filename() == "bagit.txt") bags.push_back(file.parent_path());
  }
  return bags;
}

// What is wrong with a bag of the suite, by its name; what is wrong by SHA-256 first. In two of them the tag manifest
// is of a bagit.txt for version 0.97, as `sha256sum -c` says too.
const std::map<std::string, std::vector<std::string>>& suite_faults() {
  static const std::string twice = "line 2: the path 'data/README' is there twice";
  static const std::map<std::string, std::vector<std::string>> faults{
      {"basicBag", {}},
      {"bagit-with-invalid-whitespace", {"not the two lines", "not the two lines"}},
      {"notAllManifestsListAllFiles", {"data/missingFromManifest.txt is not listed"}},
      {"same-filename-listed-twice-with-the-same-hash", {twice, "bagit.txt is changed"}},
      {"same-filename-listed-twice-with-different-hashes",
       {"version is not 1.0", twice, "bagit.txt is changed", "version is not 1.0"}}};
  return faults;
}

class BagSuite : public testing::TestWithParam<std::filesystem::path> {};
TEST_P(BagSuite, IsJudgedAsItSays) {
  CASEVAULT_NEEDS_VECTORS(GetParam());
  std::vector<std::string> faults;
  for (const char* algorithm : {"sha256", "sha512"}) {
    if (!std::filesystem::exists(GetParam() / ("manifest-"s + algorithm + ".txt"))) continue;
    SuiteBag bag{GetParam(), algorithm, {}};
    check_suite_bag(bag);
    faults.insert(faults.end(), bag.faults.begin(), bag.faults.end());
  }
  EXPECT_EQ(faults.empty(), GetParam().parent_path().filename() == "valid");
  const auto expected = suite_faults().find(GetParam().filename().native());
  ASSERT_NE(expected, suite_faults().end()) << "a new bag in the suite";
  ASSERT_EQ(faults.size(), expected->second.size()) << testing::PrintToString(faults);
  for (std::size_t i = 0; i < faults.size(); ++i) EXPECT_THAT(faults[i], HasSubstr(expected->second[i]));
}

INSTANTIATE_TEST_SUITE_P(Bags, BagSuite, testing::ValuesIn(suite_bags()), test::vector_test_name);

}  // namespace
}  // namespace casevault
