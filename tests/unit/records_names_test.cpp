#include "tests/support/temp_folder.h"
#include "vault/records/export_names.h"
#include "vault/records/media_type.h"
#include "vault/records/objects.h"

namespace casevault {
namespace {

using test::bytes_of;

// ---- Media types.
struct MediaRow {
  const char* test;
  std::string name;
  std::string bytes;
  std::string type;
};
class MediaType : public testing::TestWithParam<MediaRow> {};
TEST_P(MediaType, IsGuessed) {
  EXPECT_EQ(guess_media_type(GetParam().name, as_bytes(GetParam().bytes)), GetParam().type);
}

const MediaRow kMediaRows[] = {
    {"pdf", "a", "%PDF-1.7\n", "application/pdf"},
    {"jpeg_whatever_it_is_called", "a.png", "\xFF\xD8\xFF\xE0", "image/jpeg"},
    {"png", "a", "\x89PNG\r\n\x1A\nxxxx", "image/png"},
    {"gif", "a", "GIF89a...", "image/gif"},
    {"webp", "a", "RIFF1234WEBPVP8 ", "image/webp"},
    {"wav", "a", "RIFF1234WAVEfmt ", "audio/wav"},
    {"not_riff", "a", "XXXX1234WAVE\x01", "application/octet-stream"},
    {"tiff", "a", std::string("II*\0xxxx", 8), "image/tiff"},
    {"mp4", "a",
     std::string("\0\0\0\x18"
                 "ftypisom",
                 12),
     "video/mp4"},
    {"m4a", "a",
     std::string("\0\0\0\x18"
                 "ftypM4A ",
                 12),
     "audio/mp4"},
    {"mov", "a",
     std::string("\0\0\0\x18"
                 "ftypqt  ",
                 12),
     "video/quicktime"},
    {"ogg", "a", "OggS", "audio/ogg"},
    {"flac", "a", "fLaC", "audio/flac"},
    {"mp3", "a", "ID3\x04", "audio/mpeg"},
    {"zip", "a.zip", "PK\x03\x04", "application/zip"},
    {"docx", "письмо.DOCX", "PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"docx_that_is_none", "a.docx", std::string("\0\x01", 2), "application/octet-stream"},
    {"text", "a", "привет\r\n", "text/plain"},
    {"csv", "a.csv", "a,b\n", "text/csv"},
    {"cut_text", "a", std::string(4095, 'a') + "\xD0", "text/plain"},
    {"bad_text", "a", "\xD0", "application/octet-stream"},
    {"nul", "a", std::string("a\0b", 3), "application/octet-stream"},
    {"empty", "a.txt", "", "application/octet-stream"},
};
INSTANTIATE_TEST_SUITE_P(Rows, MediaType, testing::ValuesIn(kMediaRows),
                         [](const auto& info) { return std::string(info.param.test); });

// ---- Paths of an export.
std::vector<std::string> paths_of(const std::vector<std::string>& names) {
  std::vector<ExportEntry> entries;
  for (std::size_t i = 0; i < names.size(); ++i) entries.push_back({"C-1", names[i], "E-" + std::to_string(i + 1)});
  return assign_export_paths(entries);
}

TEST(ExportPaths, AreTheNamesWhereTheyAreSafe) {
  EXPECT_EQ(paths_of({"a.txt", "дело/фото 1.jpg"}), (std::vector<std::string>{"C-1/a.txt", "C-1/дело/фото 1.jpg"}));
}

TEST(ExportPaths, StayBelowTheFolder) {
  for (const auto& path :
       paths_of({"../../etc/passwd", "/etc/passwd", "a/../../b", "..", ".", "/", "", "a//b", "./x"})) {
    EXPECT_TRUE(path.starts_with("C-1/")) << path;
    for (const auto& part : std::filesystem::path(path))
      EXPECT_TRUE(part != ".." && part != "." && !part.empty()) << path;
  }
}

TEST(ExportPaths, ToldApartByTheRecord) {
  EXPECT_EQ(
      paths_of({"a.txt", "a.txt", "A.TXT", "noext", "noext"}),
      (std::vector<std::string>{"C-1/a.txt", "C-1/a (E-2).txt", "C-1/A (E-3).TXT", "C-1/noext", "C-1/noext (E-5)"}));
}

TEST(ExportPaths, ToldApartFromAFolder) {
  EXPECT_EQ(paths_of({"a", "a/b"}), (std::vector<std::string>{"C-1/a (E-1)", "C-1/a/b"}));
}

TEST(ExportPaths, ToldApartFromANameThatLooksMade) {
  EXPECT_EQ(paths_of({"a (E-3).txt", "a.txt", "a.txt"}),
            (std::vector<std::string>{"C-1/a (E-3).txt", "C-1/a.txt", "C-1/a (E-3, 2).txt"}));
}

TEST(ExportPaths, FoldCapitals) {
  EXPECT_EQ(fold_case("AbZ ÀÞ× ĀĹŹ ΑΩ ЁЖЯ ҐӁ Ա"), "abz àþ× āĺź αω ёжя ґӂ ա");
  EXPECT_EQ(fold_case("привет 漢字 \xF0\x9F\x98\x80"), "привет 漢字 \xF0\x9F\x98\x80");
}

// ---- Objects for the audit log.
TEST(ObjectRanges, DrawRunsTogether) {
  const auto e = [](std::int64_t n) { return RecordId{RecordKind::kEvidence, n}; };
  EXPECT_EQ(object_ranges(1, {}), "C-1");
  EXPECT_EQ(object_ranges(1, {e(3)}), "C-1/E-3");
  EXPECT_EQ(object_ranges(2, {e(5), e(3), e(4), {RecordKind::kTestimony, 1}, e(9), e(3)}),
            "C-2/E-3..E-5, C-2/E-9, C-2/T-1");
}

TEST(ObjectDates, AreUtc) {
  EXPECT_EQ(to_date(0), "1970-01-01");
  EXPECT_EQ(to_date(1'709'164'800'000), "2024-02-29");
  EXPECT_EQ(to_date(-1), "1969-12-31");
}

}  // namespace
}  // namespace casevault
