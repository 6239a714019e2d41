#include "vault/sharing/tar.h"

#include <gmock/gmock.h>
#include <locale.h>

#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;

constexpr std::int64_t kTime = 1'700'000'000;  // Unix seconds

// By path; the order of the members is that of the vector.
using Files = std::vector<std::pair<std::string, Bytes>>;

std::string repeat(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

Bytes write_tar(const Files& files, const std::string& top = "bag") {
  Bytes tar;
  TarWriter writer([&](ByteView bytes) { tar.insert(tar.end(), bytes.begin(), bytes.end()); }, top, kTime);
  for (const auto& [path, content] : files) {
    writer.begin_file(path, content.size());
    writer.write(content);
    writer.end_file();
  }
  writer.finish();
  return tar;
}

// Gives at most `step` bytes at once.
Source source_of_steps(ByteView bytes, std::size_t step) {
  return [bytes, step](std::span<std::byte> out) mutable {
    const std::size_t size = std::min({out.size(), bytes.size(), step});
    std::copy_n(bytes.begin(), size, out.begin());
    bytes = bytes.subspan(size);
    return size;
  };
}

Files read_tar(ByteView tar, std::size_t step = 100'000) {
  TarReader reader(source_of_steps(tar, step));
  Files files;
  while (const auto member = reader.next()) {
    Bytes content(member->size);
    EXPECT_EQ(reader.read(content), content.size());
    std::byte more{};
    EXPECT_EQ(reader.read({&more, 1}), 0u);
    files.emplace_back(member->path, content);
  }
  return files;
}

std::string fault_of(ByteView tar) {
  const auto error = test::error_of([&] { read_tar(tar); });
  if (!error) return "";
  EXPECT_EQ(error->code(), Errc::kDamaged);
  return error->what();
}

// What a shell command prints, run in a folder in the C locale.
std::string run(const std::filesystem::path& folder, const std::string& command) {
  const std::string whole = "cd '" + folder.native() + "' && export LC_ALL=C TZ=UTC && { " + command + "; } 2>&1";
  std::string out;
  FILE* pipe = ::popen(whole.c_str(), "r");
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out += static_cast<char>(c);
  const int status = ::pclose(pipe);
  return status == 0 ? out : out + "\nstatus " + std::to_string(status);
}

Files awkward_files() {
  return {{"bagit.txt", test::bytes_of("x")},
          {"empty", {}},
          {"data/Дело № 7/письмо в суд.pdf", test::noise(511)},
          {"data/block", test::noise(512)},
          {"data/" + repeat("long", 30), test::noise(513)},
          {"data/" + repeat("0123456789/", 14) + "split in ustar", test::noise(1024)},
          {"data/" + repeat("0123456789/", 14) + repeat("whole", 20), test::noise(10)},
          {"data/" + repeat(repeat("ж", 100) + "/", 15) + "deep", test::noise(70'000)},
          {"data/-rf *'\"$(x)", test::noise(1)},
          {"data/large", test::noise(1'000'000)}};
}

// ---- Ours.
TEST(Tar, ReadsWhatItWrote) {
  const Files files = awkward_files();
  const Bytes tar = write_tar(files);
  for (const std::size_t step : {1u, 511u, 512u, 4096u, 10'000'000u}) EXPECT_EQ(read_tar(tar, step), files) << step;
  EXPECT_EQ(read_tar(write_tar({})), Files{});
  EXPECT_EQ(read_tar(write_tar(files, "Дело № 1")), files);
}

TEST(Tar, IsTheSameEachTime) {
  const Bytes tar = write_tar(awkward_files());
  EXPECT_EQ(write_tar(awkward_files()), tar);
  Bytes piecewise;
  TarWriter writer([&](ByteView bytes) { piecewise.insert(piecewise.end(), bytes.begin(), bytes.end()); }, "bag",
                   kTime);
  for (const auto& [path, content] : awkward_files()) {
    writer.begin_file(path, content.size());
    for (std::size_t i = 0; i < content.size(); i += 777)
      writer.write(ByteView(content).subspan(i, std::min<std::size_t>(777, content.size() - i)));
    writer.end_file();
  }
  writer.finish();
  EXPECT_EQ(piecewise, tar);
}

char type_of_block(ByteView tar, std::size_t block) { return static_cast<char>(tar[512 * block + 156]); }

TEST(Tar, IsPlainUstarWhereThatIsEnough) {
  const Bytes tar = write_tar({{"data/" + repeat("0123456789/", 14) + "split", test::bytes_of("x")}});
  EXPECT_EQ(tar.size(), 4 * 512u);
  EXPECT_EQ(type_of_block(tar, 0), '0');
  EXPECT_EQ(type_of_block(write_tar({{"ж", {}}}), 0), 'x');
}

TEST(Tar, HasNothingOfTheMachine) {
  const test::TempFolder folder;
  test::write_file(folder / "t", write_tar({{"a", test::bytes_of("x")}, {"data/ж", {}}}));
  EXPECT_EQ(run(folder.path(), "tar --numeric-owner --full-time --quoting-style=literal -tvf t"),
            "-rw-r--r-- 0/0               1 2023-11-14 22:13:20 bag/a\n"
            "-rw-r--r-- 0/0               0 2023-11-14 22:13:20 bag/data/ж\n");
}

TEST(Tar, StreamsWithoutCopying) {
  const Bytes content = test::noise(1'000'000);
  const Bytes tar = write_tar({{"a", content}, {"b", content}});
  TarReader reader(source_of_steps(tar, 100'000));
  while (const auto member = reader.next()) {
    EXPECT_EQ(reader.top_folder(), "bag");
    std::array<std::byte, 3> start{};
    EXPECT_EQ(reader.read(start), start.size());
    Bytes got(start.begin(), start.end());
    std::size_t pieces = 0;
    for (ByteView piece = reader.read_piece(); !piece.empty(); piece = reader.read_piece(), ++pieces)
      got.insert(got.end(), piece.begin(), piece.end());
    EXPECT_EQ(got, content);
    EXPECT_LT(pieces, 10u);
    EXPECT_TRUE(reader.read_piece().empty());
  }
}

TEST(Tar, SkipsWhatIsNotRead) {
  const Bytes tar = write_tar(awkward_files());
  TarReader reader(source_of_steps(tar, 1000));
  std::size_t count = 0;
  while (const auto member = reader.next()) EXPECT_EQ(member->path, awkward_files()[count++].first);
  EXPECT_EQ(count, awkward_files().size());
}

TEST(Tar, LeavesTheLocaleAlone) {
  const locale_t before = ::uselocale(nullptr);
  EXPECT_EQ(read_tar(write_tar(awkward_files())), awkward_files());
  EXPECT_EQ(::uselocale(nullptr), before);
}

TEST(Tar, IsTheSameInEveryLocale) {
  const Bytes tar = write_tar(awkward_files());
  ASSERT_NE(::setlocale(LC_ALL, "C.UTF-8"), nullptr);
  EXPECT_EQ(write_tar(awkward_files()), tar);
  EXPECT_EQ(read_tar(tar), awkward_files());
  ::setlocale(LC_ALL, "C");
}

// ---- What the writer insists on.
TEST(TarWriter, RefusesWhatTheReaderWould) {
  const auto code = [](std::vector<std::string> paths) {
    return test::code_of([&] {
      Files files;
      for (const auto& path : paths) files.emplace_back(path, Bytes{});
      write_tar(files);
    });
  };
  EXPECT_EQ(code({"a", "b/a"}), std::nullopt);
  for (const std::vector<std::string>& paths :
       std::vector<std::vector<std::string>>{{""},
                                             {"/a"},
                                             {"../a"},
                                             {"a/../b"},
                                             {"a\\b"},
                                             {"a\nb"},
                                             {"a%b"},
                                             {"\xff"},
                                             {"\u0438\u0306"},
                                             {"a", "a"},
                                             {"a", "A"},
                                             {"a", "a/b"},
                                             {"a/b", "a"},
                                             {repeat("a", 256)},
                                             {repeat(repeat("b", 254) + "/", 16) + repeat("b", 14)}})
    EXPECT_EQ(code(paths), Errc::kUsage) << testing::PrintToString(paths);
}

TEST(TarWriter, CountsTheBytes) {
  TarWriter writer([](ByteView) {}, "bag", kTime);
  EXPECT_EQ(test::code_of([&] { writer.write(test::bytes_of("x")); }), Errc::kInternal);
  EXPECT_EQ(test::code_of([&] { writer.end_file(); }), Errc::kInternal);
  writer.begin_file("a", 2);
  EXPECT_EQ(test::code_of([&] { writer.begin_file("b", 2); }), Errc::kInternal);
  EXPECT_EQ(test::code_of([&] { writer.write(test::bytes_of("123")); }), Errc::kInternal);
  writer.write(test::bytes_of("1"));
  EXPECT_EQ(test::code_of([&] { writer.end_file(); }), Errc::kInternal);
  EXPECT_EQ(test::code_of([&] { writer.finish(); }), Errc::kInternal);
  writer.write(test::bytes_of("2"));
  writer.end_file();
  writer.finish();
}

TEST(TarWriter, WithoutFinishThereIsNoEnd) {
  Bytes tar;
  {
    TarWriter writer([&](ByteView bytes) { tar.insert(tar.end(), bytes.begin(), bytes.end()); }, "bag", kTime);
    writer.begin_file("a", 200'000);
    writer.write(test::noise(200'000));
    writer.end_file();
  }
  EXPECT_GT(tar.size(), 100'000u);
  EXPECT_THAT(fault_of(tar), HasSubstr("cut off"));
}

struct OddException {};

TEST(TarWriter, PassesOnWhatTheSinkThrows) {
  const auto refuse_data = [](ByteView bytes) {
    if (bytes.size() > 512) throw OddException();  // larger than a header
  };
  TarWriter writer(refuse_data, "bag", kTime);
  writer.begin_file("a", 1'000'000);
  EXPECT_THROW(writer.write(test::noise(1'000'000)), OddException);
  TarWriter late([](ByteView) { throw OddException(); }, "bag", kTime);
  EXPECT_THROW(late.finish(), OddException);
}

TEST(TarReader, PassesOnWhatTheSourceThrows) {
  TarReader at_once([](std::span<std::byte>) -> std::size_t { throw OddException(); });
  EXPECT_THROW(at_once.next(), OddException);

  Bytes tar = write_tar({{"a", test::noise(1'000'000)}});
  TarReader later([&, from = std::size_t{0}](std::span<std::byte> out) mutable {
    if (from > 500'000) throw OddException();
    std::copy_n(tar.begin() + static_cast<std::ptrdiff_t>(from), out.size(), out.begin());
    from += out.size();
    return out.size();
  });
  ASSERT_TRUE(later.next());
  EXPECT_THROW(while (!later.read_piece().empty()){}, OddException);
}

// ---- Large files, without their data.
TEST(Tar, LargeSizes) {
  for (const std::uint64_t size :
       {(std::uint64_t{1} << 33) - 1, std::uint64_t{1} << 33, std::uint64_t{100} << 30, kMaxTarMemberSize}) {
    Bytes tar;
    {
      TarWriter writer([&](ByteView bytes) { tar.insert(tar.end(), bytes.begin(), bytes.end()); }, "bag", kTime);
      writer.begin_file("large", size);
      writer.write(test::noise(1 << 20));
    }
    EXPECT_EQ(type_of_block(tar, 0), size >> 33 == 0 ? '0' : 'x');
    TarReader reader(source_of_steps(tar, 1 << 20));
    const auto member = reader.next();
    ASSERT_TRUE(member);
    EXPECT_EQ(member->size, size);
  }
}

TEST(Tar, LargeSizesOfStockTar) {
  const test::TempFolder folder;
  for (const char* format : {"gnu", "pax"}) {
    EXPECT_EQ(run(folder.path(), "mkdir -p bag && truncate -s 9G bag/large && tar --format="s + format +
                                     " -cf - bag/large 2>/dev/null | head -c 1000000 > t"),
              "");
    const Bytes tar = test::read_file(folder / "t");
    TarReader reader(source_of_steps(tar, 1 << 20));
    const auto member = reader.next();
    ASSERT_TRUE(member);
    EXPECT_EQ(member->size, std::uint64_t{9} << 30);
  }
}

// ---- Stock tar reads ours.
TEST(Tar, StockTarExtractsOurs) {
  const test::TempFolder folder;
  test::write_file(folder / "t", write_tar(awkward_files()));
  EXPECT_EQ(run(folder.path(), "tar -xf t"), "");  // no warnings
  for (const auto& [path, content] : awkward_files())
    EXPECT_EQ(test::read_file(folder / "bag" / path), content) << path;
  EXPECT_EQ(run(folder.path(), "find bag -type f | wc -l"), std::to_string(awkward_files().size()) + "\n");
  EXPECT_EQ(run(folder.path(), "tar --compare -f t --owner=0"), "");
}

// ---- We read stock tar's.
class TarOfStock : public testing::TestWithParam<const char*> {};
TEST_P(TarOfStock, IsRead) {
  const test::TempFolder folder;
  const bool is_ustar = GetParam() == "ustar"s;
  std::map<std::string, Bytes> files;
  for (const auto& [path, content] : awkward_files()) {
    if (is_ustar && (path.size() > 200 || path.find(repeat("long", 26)) != path.npos)) continue;  // no room
    std::filesystem::create_directories((folder / ("bag/" + path)).parent_path());
    test::write_file(folder / ("bag/" + path), content);
    files.emplace(path, content);
  }
  std::filesystem::create_directories(folder / "bag/data/empty folder");
  EXPECT_EQ(run(folder.path(), "tar --format="s + GetParam() + " -cf t bag"), "");
  std::map<std::string, Bytes> got;
  for (auto& [path, content] : read_tar(test::read_file(folder / "t"))) got.emplace(path, content);
  EXPECT_EQ(got, files);
  EXPECT_EQ(run(folder.path(), "tar --format="s + GetParam() + " -b 1 -cf t bag/bagit.txt"), "");  // shortest padding
  EXPECT_EQ(read_tar(test::read_file(folder / "t")).size(), 1u);
}
INSTANTIATE_TEST_SUITE_P(Formats, TarOfStock, testing::Values("gnu", "oldgnu", "ustar", "pax"),
                         [](const auto& info) { return std::string(info.param); });

// What a bundle is opened with where there is only tar and sha256sum.
TEST(Tar, PythonReadsOursAndWeReadPython) {
  const test::TempFolder folder;
  if (run(folder.path(), "/usr/bin/python3 -c 'import tarfile'") != "") GTEST_SKIP() << "no python3";
  test::write_file(folder / "t", write_tar(awkward_files()));
  EXPECT_EQ(run(folder.path(),
                "PYTHONUTF8=1 /usr/bin/python3 -c 'import tarfile\nfor m in tarfile.open(\"t\"): "
                "print(m.name[4:], m.size)'"),
            [] {
              std::string out;
              for (const auto& [path, content] : awkward_files())
                out += path + " " + std::to_string(content.size()) + "\n";
              return out;
            }());
  EXPECT_EQ(run(folder.path(),
                "tar -xf t && PYTHONUTF8=1 /usr/bin/python3 -c 'import tarfile\n"
                "with tarfile.open(\"u\", \"w\") as t: t.add(\"bag\")'"),
            "");
  EXPECT_EQ(read_tar(test::read_file(folder / "u")).size(), awkward_files().size());
}

// ---- Refused: made by stock tar. `bag` has the files a and b.
struct StockRow {
  const char* name;
  std::string command;  // writes t
  std::string fault;
};
void PrintTo(const StockRow& row, std::ostream* out) { *out << row.name; }

class TarRefused : public testing::TestWithParam<StockRow> {};
TEST_P(TarRefused, ByName) {
  const test::TempFolder folder;
  ASSERT_EQ(run(folder.path(), "mkdir bag && echo 1 >bag/a && echo 2 >bag/b && " + GetParam().command), "");
  EXPECT_THAT(fault_of(test::read_file(folder / "t")), HasSubstr(GetParam().fault));
}

const std::string kSparse = "tar: 'bag/sparse': it is a sparse file";
const std::string kPaxSparse = "it is a sparse file, and not a plain file";
INSTANTIATE_TEST_SUITE_P(
    ByStockTar, TarRefused,
    testing::Values(
        StockRow{"symbolic_link", "ln -s /etc/passwd bag/link && tar -cf t bag",
                 "tar: 'bag/link': it is a symbolic link"},
        StockRow{"symbolic_link_pax", "ln -s ж bag/link && tar --format=pax -cf t bag",
                 "'bag/link': it is a symbolic link"},
        StockRow{"long_symbolic_link", "ln -s " + repeat("long", 40) + " bag/link && tar -cf t bag", "it is a link"},
        StockRow{"long_symbolic_link_pax", "ln -s " + repeat("long", 40) + " bag/link && tar --format=pax -cf t bag",
                 "it is a link"},
        StockRow{"folder_as_link", "ln -s .. bag/up && tar -cf t bag bag/up/bag/a", "symbolic link"},
        StockRow{"hard_link", "ln bag/a bag/c && tar -cf t bag/a bag/c", "tar: 'bag/c': it is a hard link"},
        StockRow{"named_pipe", "mkfifo bag/pipe && tar -cf t bag", "tar: 'bag/pipe': it is a named pipe"},
        StockRow{"sparse", "truncate -s 10G bag/sparse && tar -Scf t bag/sparse", kSparse},
        StockRow{"sparse_with_data", "truncate -s 10G bag/sparse && echo x >>bag/sparse && tar -Scf t bag/sparse",
                 kSparse},
        StockRow{"sparse_pax", "truncate -s 10G bag/sparse && tar --format=pax -Scf t bag/sparse", kPaxSparse},
        StockRow{"sparse_pax_0_0",
                 "truncate -s 10G bag/sparse && tar --sparse-version=0.0 --format=pax -Scf t bag/sparse", kPaxSparse},
        StockRow{"sparse_pax_0_1",
                 "truncate -s 10G bag/sparse && tar --sparse-version=0.1 --format=pax -Scf t bag/sparse", kPaxSparse},
        StockRow{"volume_label", "tar -V label -cf t bag", "tar: 'label': it is an entry of the unknown type 'V'"},
        StockRow{"incremental", "tar -g u -cf t bag", "tar: 'bag/': it is an entry of the unknown type 'D'"},
        StockRow{"multi_volume", "head -c 12000 /dev/zero >bag/c; tar -M -L 10 -c -f u -f t bag/c",
                 "it is an entry of the unknown type 'M'"},
        StockRow{"global_header", "tar --format=pax --pax-option=comment=x -cf t bag", "it is a global header"},
        StockRow{"version_7", "tar --format=v7 -cf t bag", "not POSIX ustar or GNU tar"},
        StockRow{"absolute", "tar -Pcf t $PWD/bag/a", "is absolute"},
        StockRow{"climbing", "mkdir d; cd d; tar -Pcf ../t ../bag/a", "'../bag/a': the path climbs out by '..'"},
        StockRow{"climbing_inside", "tar -Pcf t bag/../bag/a", "'bag/../bag/a': the path climbs out by '..'"},
        StockRow{"dot", "tar -cf t ./bag", "'./bag/': the path has a component '.'"},
        StockRow{"no_folder", "cd bag && tar -cf ../t a", "tar: 'a': it stands in no folder"},
        StockRow{"two_folders", "cp -r bag bog && tar -cf t bag bog",
                 "tar: 'bog/': it stands outside the folder 'bag'"},
        StockRow{"duplicate", "tar -cf t bag/a bag/a --hard-dereference", "tar: 'bag/a': the path is there twice"},
        StockRow{"updated", "tar -cf t bag && tar -rf t bag/a", "tar: 'bag/a': the path is there twice"},
        StockRow{"case", "cp bag/a bag/A && tar -cf t bag/a bag/A", "tar: 'bag/A': the path is there twice"},
        StockRow{"file_and_folder", "tar -cf t bag/a && rm bag/a && mkdir bag/a && cp bag/b bag/a && tar -rf t bag/a",
                 "'bag/a/': the path has a folder that is a file elsewhere"},
        StockRow{"latin_1", "touch \"$(printf 'bag/\\351')\" && tar -cf t bag",
                 "tar: 'bag/\\xe9': the path is not UTF-8"},
        StockRow{"latin_1_pax", "touch \"$(printf 'bag/\\351')\" && tar --format=pax -cf t bag", "is not UTF-8"},
        StockRow{"decomposed", "touch \"$(printf 'bag/\\320\\270\\314\\206')\" && tar -cf t bag",
                 "normalization form C"},
        StockRow{"line_feed", "touch \"$(printf 'bag/a\\nb')\" && tar -cf t bag", "'bag/a\\nb': the path has control"},
        StockRow{"second_archive", "tar -cf t bag/a && tar -cf u bag/b && cat u >>t", "something follows the end"},
        StockRow{"tail", "tar -cf t bag && echo hidden >>t", "something follows the end of the archive"},
        StockRow{"tail_far_away", "tar -cf t bag && head -c 500000 /dev/zero >>t && echo hidden >>t",
                 "something follows the end of the archive"},
        StockRow{"long_tail", "tar -cf t bag && head -c 1100000 /dev/zero >>t", "more than 1 MiB follows"},
        StockRow{"compressed", "head -c 2000 /dev/urandom >bag/c; tar -czf t bag", "no tar header"},
        StockRow{"empty", ": >t", "cut off"},
        StockRow{"not_a_tar", "head -c 2000 /dev/urandom | tr '\\0' x >t", "no tar header"}),
    test::row_name<StockRow>);

// ---- Refused: made by hand.
struct Header {
  std::string name = "bag/a";
  char type = '0';
  std::string size = "00000000000";
  std::string magic{
      "ustar\0"
      "00",
      8};
  std::string extra = {};  // at 345
};

std::string block(const Header& header) {
  std::string out(512, '\0');
  out.replace(0, header.name.size(), header.name);
  out.replace(100, 24,
              "0000644\0"
              "0000000\0"
              "0000000\0"s);
  out.replace(124, header.size.size(), header.size);
  out.replace(136, 20, "00000000000\0        "s);
  out[156] = header.type;
  out.replace(257, 8, header.magic);
  out.replace(345, header.extra.size(), header.extra);
  unsigned sum = 0;
  for (const char c : out) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof(text), "%06o", sum);
  out.replace(148, 7, std::string(text, 7));
  return out;
}

std::string octal(std::size_t number) {
  char text[12];
  std::snprintf(text, sizeof(text), "%011zo", number);
  return text;
}

std::string padded(std::string text) { return text.append((512 - text.size() % 512) % 512, '\0'); }
std::string pax(const std::string& records, char type = 'x') {
  return block({.name = "pax", .type = type, .size = octal(records.size())}) + padded(records);
}
std::string record(const std::string& text) {  // "key=value"
  std::size_t size = text.size() + 3;
  while (std::to_string(size).size() + text.size() + 2 != size) ++size;
  return std::to_string(size) + " " + text + "\n";
}

const std::string kEnd(1024, '\0');
const std::string kGnu{"ustar  \0", 8};
const std::string kFile = block({});

struct HandRow {
  const char* name;
  std::string tar;
  std::string fault;  // empty: none
};
void PrintTo(const HandRow& row, std::ostream* out) { *out << row.name; }

class TarByHand : public testing::TestWithParam<HandRow> {};
TEST_P(TarByHand, IsJudged) {
  const std::string fault = fault_of(as_bytes(GetParam().tar));
  EXPECT_EQ(fault.empty(), GetParam().fault.empty()) << fault;
  EXPECT_THAT(fault, HasSubstr(GetParam().fault));
}

std::string with_pax(const std::string& text) { return pax(record(text)) + kFile + kEnd; }
INSTANTIATE_TEST_SUITE_P(
    Accepted, TarByHand,
    testing::Values(
        HandRow{"file", kFile + kEnd, ""}, HandRow{"only_end", kEnd, ""},
        HandRow{"old_file_type", block({.type = '\0'}) + kEnd, ""},
        HandRow{"folders", block({.name = "bag", .type = '5'}) + block({.name = "bag/c/", .type = '5'}) + kFile + kEnd,
                ""},
        HandRow{"size_without_end", block({.size = "000000000001"}) + padded("x") + kEnd, ""},
        HandRow{"size_with_spaces", block({.size = "          1 "}) + padded("x") + kEnd, ""},
        HandRow{"size_base_256", block({.size = "\x80"s + std::string(10, '\0') + "\1"}) + padded("x") + kEnd, ""},
        HandRow{"prefix", block({.extra = "bag/d"}) + kEnd, ""}, HandRow{"pax_path", with_pax("path=bag/ж"), ""},
        HandRow{"pax_idle", with_pax("comment=x"), ""},
        HandRow{"pax_utf8", with_pax("hdrcharset=ISO-IR 10646 2000 UTF-8"), ""},
        HandRow{"pax_binary", pax(record("hdrcharset=BINARY") + record("path=bag/ж")) + kFile + kEnd, ""},
        HandRow{"pax_size", pax(record("size=1")) + block({}) + padded("x") + kEnd, ""},
        HandRow{"largest_tail", kFile + kEnd + std::string(1 << 20, '\0'), ""}),
    test::row_name<HandRow>);

// A header of GNU tar whose special fields, from `offset` on, hold `text`.
std::string gnu_special(std::size_t offset, const std::string& text) {
  return block({.magic = kGnu, .extra = std::string(offset - 345, '\0') + text}) + kEnd;
}
std::string gnu_long(char type, const std::string& name, const std::string& rest = kFile + kEnd) {
  return block({.name = "././@LongLink", .type = type, .size = octal(name.size() + 1), .magic = kGnu}) + padded(name) +
         rest;
}
std::string of_type(char type) { return block({.type = type}) + kEnd; }
std::string of_size(const std::string& size) { return block({.size = size}) + kEnd; }
std::string of_name(const std::string& name) { return block({.name = name}) + kEnd; }
std::string of_magic(const std::string& magic) { return block({.magic = magic}) + kEnd; }
std::string folder_of_size(const std::string& size) { return block({.name = "bag/", .type = '5', .size = size}); }
std::string two_pax(const std::string& first, const std::string& second) {
  return pax(record(first) + record(second)) + kFile + kEnd;
}
std::string bad_pax(const std::string& records) { return pax(records) + kFile + kEnd; }

const std::string kPaxDamaged = "pax header is damaged";
const std::string kSizeFault = "its size is not a number, or beyond 2^62";
const std::string kOtherFormat = "not POSIX ustar or GNU tar";

INSTANTIATE_TEST_SUITE_P(
    RefusedTypes, TarByHand,
    testing::Values(HandRow{"character_device", of_type('3'), "tar: 'bag/a': it is a device"},
                    HandRow{"block_device", of_type('4'), "it is a device"},
                    HandRow{"hard_link", of_type('1'), "it is a hard link"},
                    HandRow{"contiguous", of_type('7'), "it is an entry of the unknown type '7'"},
                    HandRow{"gnu_names", of_type('N'), "unknown type 'N'"},
                    HandRow{"solaris_acl", of_type('A'), "unknown type 'A'"},
                    HandRow{"sun_pax", of_type('X'), "unknown type 'X'"},
                    HandRow{"control", of_type('\x1b'), "unknown type '\\x1b'"},
                    HandRow{"sparse", block({.type = 'S', .magic = kGnu}) + kEnd, "it is a sparse file"},
                    HandRow{"gnu_long_link", gnu_long('K', "bag/b"), "it is a link"},
                    HandRow{"gnu_sparse_map_of_file", gnu_special(386, "00000000000 24000000000"),
                            "it is a sparse file"},
                    HandRow{"gnu_real_size_of_file", gnu_special(483, "24000000000"), "it is a sparse file"},
                    HandRow{"gnu_offset_of_file", gnu_special(369, "00000000001"), "a part of one"},
                    HandRow{"wrong_version",
                            of_magic("ustar\0"
                                     "01"s),
                            kOtherFormat},
                    HandRow{"wrong_magic",
                            of_magic("USTAR\0"
                                     "00"s),
                            kOtherFormat},
                    HandRow{"wrong_checksum", "c" + kFile.substr(1) + kEnd, "its header is damaged"}),
    test::row_name<HandRow>);

INSTANTIATE_TEST_SUITE_P(
    RefusedPax, TarByHand,
    testing::Values(HandRow{"sparse", with_pax("GNU.sparse.realsize=10000000000"), "'bag/a': it is a sparse file"},
                    HandRow{"sparse_name", with_pax("GNU.sparse.name=bag/b"), "it is a sparse file"},
                    HandRow{"star_sparse", with_pax("SCHILY.realsize=10000000000"), "it is a sparse file"},
                    HandRow{"sun_sparse", with_pax("SUN.holesdata= 0 5"), "it is a sparse file"},
                    HandRow{"link", with_pax("linkpath=x"), "it is a link"},
                    HandRow{"xattr", with_pax("SCHILY.xattr.user.x=y"), "it is a file with extended attributes"},
                    HandRow{"libarchive_xattr", with_pax("LIBARCHIVE.xattr.user.x=eQ=="), "extended attributes"},
                    HandRow{"acl", with_pax("SCHILY.acl.access=user::rwx"), "extended attributes"},
                    HandRow{"selinux", with_pax("RHT.security.selinux=x"), "extended attributes"},
                    HandRow{"unknown", with_pax("CASEVAULT.x=y"), "unknown pax keyword 'CASEVAULT.x'"},
                    HandRow{"control", with_pax("\x1b[2J=y"), "unknown pax keyword '\\x1b[2J'"},
                    HandRow{"charset", with_pax("hdrcharset=ISO-IR 8859 1 1998"), "not UTF-8"},
                    HandRow{"two_paths", two_pax("path=bag/b", "path=bag/c"), "names it twice"},
                    HandRow{"empty_path", with_pax("path="), "by nothing"},
                    HandRow{"path_climbs", with_pax("path=bag/../../x"), "'bag/../../x': the path climbs out"},
                    HandRow{"path_with_nul", with_pax("path=bag/b\0c"s), "control"},
                    HandRow{"path_latin_1", with_pax("path=bag/\xe9"), "not UTF-8"},
                    HandRow{"two_sizes", two_pax("size=0", "size=1"), "bad size"},
                    HandRow{"size_negative", with_pax("size=-1"), "bad size"},
                    HandRow{"size_float", with_pax("size=1.0"), "bad size"},
                    HandRow{"size_too_large", with_pax("size=4611686018427387905"), "bad size"},
                    HandRow{"size_overflow", with_pax("size=18446744073709551617"), "bad size"},
                    HandRow{"folder_size", pax(record("size=512")) + folder_of_size(octal(0)) + kEnd, "has data"},
                    HandRow{"no_length", bad_pax("path=bag/b\n"), kPaxDamaged},
                    HandRow{"length_short", bad_pax("5 path=bag/b\n"), kPaxDamaged},
                    HandRow{"length_long", bad_pax("99 path=bag/b\n"), kPaxDamaged},
                    HandRow{"length_huge", bad_pax("99999999999999999999 path=bag/b\n"), kPaxDamaged},
                    HandRow{"length_tiny", bad_pax("1 \n"), kPaxDamaged},
                    HandRow{"no_equals", bad_pax("6 abc\n"), kPaxDamaged}, HandRow{"empty", bad_pax(""), "is empty"},
                    HandRow{"huge", with_pax("comment=" + std::string(70'000, 'x')), "larger than 64 KiB"},
                    HandRow{"padding", block({.type = 'x', .size = octal(13)}) + padded("13 comment=x\nhidden") + kEnd,
                            "pads its extended header is not zero"},
                    HandRow{"twice", pax(record("path=bag/b")) + with_pax("path=bag/c"), "several extended headers"},
                    HandRow{"before_end", pax(record("path=bag/b")) + kEnd, "before the end"},
                    HandRow{"before_nothing", pax(record("path=bag/b")), "cut off"},
                    HandRow{"after_gnu_long_name", gnu_long('L', "bag/b", with_pax("path=bag/c")), "several extended"}),
    test::row_name<HandRow>);

INSTANTIATE_TEST_SUITE_P(
    RefusedShapes, TarByHand,
    testing::Values(HandRow{"gnu_long_name_climbs", gnu_long('L', "../bag"), "'../bag': the path climbs out"},
                    HandRow{"file_with_slash", of_name("bag/a/"), "has an empty component"},
                    HandRow{"file_with_slash_and_data", block({.name = "bag/a/", .size = octal(512)}) + kFile + kEnd,
                            "has an empty component"},
                    HandRow{"top_is_file", of_name("bag"), "tar: 'bag': it stands in no folder"},
                    HandRow{"top_is_dots", of_name("../a"), "climbs out"}, HandRow{"no_name", of_name(""), "is empty"},
                    HandRow{"two_slashes", of_name("bag//a"), "empty component"},
                    HandRow{"prefix_climbs", block({.extra = ".."}) + kEnd, "'../bag/a': the path climbs out"},
                    HandRow{"folder_with_data", folder_of_size(octal(512)) + kFile + kEnd, "a folder and has data"},
                    HandRow{"size_not_octal", of_size("00000000008"), kSizeFault},
                    HandRow{"size_missing", of_size(""), kSizeFault},
                    HandRow{"size_with_more",
                            of_size("1\0"
                                    "0000000001"s),
                            kSizeFault},
                    HandRow{"size_negative", of_size(std::string(12, '\xff')), kSizeFault},
                    HandRow{"size_too_large", of_size("\x80\0\0\0\x40\0\0\0\0\0\0\1"s), kSizeFault},
                    HandRow{"size_overflow", of_size("\x80\0\1\0\0\0\0\0\0\0\0\0"s), kSizeFault},
                    HandRow{"padding", block({.size = octal(1)}) + padded("xhidden") + kEnd,
                            "'bag/a': what follows its data up to the end of the block is not zero"},
                    HandRow{"one_zero_block", kFile + std::string(512, '\0'), "cut off"},
                    HandRow{"one_zero_block_between", kFile + std::string(512, '\0') + of_name("bag/b"),
                            "a block of zeros stands between members"},
                    HandRow{"no_end", kFile, "cut off"},
                    HandRow{"member_after_end", kFile + kEnd + of_name("bag/b"), "follows the end"},
                    HandRow{"tail_byte", kFile + kEnd + "\1", "follows the end"},
                    HandRow{"tail_too_long", kFile + kEnd + std::string((1 << 20) + 1, '\0'), "more than 1 MiB"}),
    test::row_name<HandRow>);

TEST(TarReader, HasAnUpperNumberOfMembers) {
  const std::string folder = block({.name = "bag/", .type = '5'});
  std::size_t left = kMaxTarMembers + 1;
  TarReader reader([&](std::span<std::byte> out) -> std::size_t {
    if (left-- == 0) return 0;
    std::ranges::copy(as_bytes(folder), out.begin());
    return folder.size();
  });
  const auto error = test::error_of([&] { reader.next(); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->what(), HasSubstr("more than 1,000,000 members"));
}

// ---- Every place.
TEST(TarReader, NoticesEveryCut) {
  const Bytes tar = write_tar({{"a", test::noise(700)}, {"ж", test::noise(10)}});
  for (std::size_t size = 0; size < tar.size(); ++size)
    ASSERT_THAT(fault_of(ByteView(tar).first(size)), HasSubstr("cut off")) << size;
}

// In ustar: the names in pax headers have no checksum of their own.
TEST(TarReader, NoChangedByteMovesAnything) {
  const Files files{{"a", test::noise(700)}, {"c/d", test::noise(10)}, {"b", {}}};
  const Bytes tar = write_tar(files);
  const auto names_and_sizes = [](const Files& list) {
    std::vector<std::pair<std::string, std::size_t>> out;
    for (const auto& [path, content] : list) out.emplace_back(path, content.size());
    return out;
  };
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < tar.size(); ++i) {
    for (const unsigned flip : {0x01u, 0x80u, 0xFFu}) {
      Bytes changed = tar;
      changed[i] ^= static_cast<std::byte>(flip);
      try {
        ASSERT_EQ(names_and_sizes(read_tar(changed)), names_and_sizes(files)) << i;
        ++accepted;
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), Errc::kDamaged) << i;
      }
    }
  }
  EXPECT_LT(accepted, 3 * 900u);  // those in the data, and a few in checksums and comments
  EXPECT_GE(accepted, 3 * 710u);
}

}  // namespace
}  // namespace casevault
