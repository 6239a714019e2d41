#include <sys/stat.h>

#include <atomic>

#include "tests/support/test_vault.h"
#include "vault/access/case_access.h"
#include "vault/records/intake.h"
#include "vault/records/reading.h"
#include "vault/storage/bodies.h"

namespace casevault {
namespace {

using test::bytes_of;
using test::code_of;
using test::error_of;
using test::noise;
using test::write_file;

class Intake : public testing::Test {
 protected:
  void SetUp() override {
    auto session = anna();
    new_case(session, "Case");
  }
  Session anna() const { return vault.unlock("anna"); }
  Path file(const std::string& name, ByteView content) const {
    const Path path = vault.folder() / "files" / name;
    std::filesystem::create_directories(path.parent_path());
    write_file(path, content);
    return path;
  }
  Path files() const { return vault.folder() / "files"; }
  IntakeResult add(Session& session, const std::vector<Path>& paths, const AddOptions& options = {}) {
    added.clear();
    skipped.clear();
    return add_files(session, 1, paths, options, observer());
  }
  IntakeObserver observer() {
    return {[this](const Added& file) { added.push_back(file); },
            [this](const std::string& name, const std::string& why) { skipped.emplace_back(name, why); },
            [this](std::uint64_t done, std::uint64_t total) {
              last_progress = {done, total};
            }};
  }
  static Bytes cat(Session& session, const std::string& object, std::optional<std::int64_t> version = {},
                   std::optional<ByteRange> range = {}) {
    Bytes out;
    read_content(session, *parse_object_name(object), version, range,
                 [&](ByteView part) { out.insert(out.end(), part.begin(), part.end()); });
    return out;
  }
  std::size_t body_count() const { return BodyStore(vault.path() / "bodies").list().bodies.size(); }
  static std::size_t referenced(Session& session) {
    return open_case(session, 1, Right::kRead, "test", "C-1").store.body_names().size();
  }

  test::TestVault vault;
  std::vector<Added> added;
  std::vector<std::pair<std::string, std::string>> skipped;
  std::pair<std::uint64_t, std::uint64_t> last_progress;
};

TEST_F(Intake, KeepsFilesOfEverySize) {
  const std::vector<std::size_t> sizes = {0, 1, 65535, 65536, 65537, 131072, 3'000'001};
  std::vector<Path> paths;
  for (const auto size : sizes) paths.push_back(file("f" + std::to_string(size), noise(size, size + 1)));
  auto session = anna();
  const auto result = add(session, paths);
  EXPECT_EQ(result.added, sizes.size());
  ASSERT_EQ(added.size(), sizes.size());
  EXPECT_EQ(last_progress.first, last_progress.second);
  const auto records = list_records(session, 1);
  ASSERT_EQ(records.size(), sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto object = "C-1/E-" + std::to_string(i + 1);
    const auto content = noise(sizes[i], sizes[i] + 1);
    EXPECT_EQ(added[i].object, object);
    EXPECT_EQ(added[i].size, sizes[i]);
    EXPECT_EQ(added[i].sha256, sha256(content));
    EXPECT_EQ(records[i].object, object);
    EXPECT_EQ(records[i].record.newest().details->name, "f" + std::to_string(sizes[i]));
    EXPECT_EQ(cat(session, object), content);
  }
  EXPECT_EQ(body_count(), 3u);
}

TEST_F(Intake, RemembersWhatFilesWere) {
  const auto path = file("folder/письмо.txt", as_bytes("привет"));
  auto session = anna();
  add(session, {path.parent_path()}, {.title = "Letters", .tags = {"a", "b"}});
  const auto details = *show_record(session, *parse_object_name("C-1/E-1")).record.newest().details;
  EXPECT_EQ(details.name, "folder/письмо.txt");
  EXPECT_EQ(details.title, "Letters");
  EXPECT_EQ(details.tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(details.media_type, "text/plain");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(details.modified_ms, status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1'000'000);
  EXPECT_EQ(user_name(session, show_record(session, *parse_object_name("C-1/E-1")).record.newest().added_by), "anna");
}

TEST_F(Intake, RecognisesTheSameContent) {
  const auto small = noise(100), big = noise(100'000);
  const std::vector<Path> paths = {file("1", small), file("2", big), file("3", small), file("4", big)};
  auto session = anna();
  auto result = add(session, paths);
  EXPECT_EQ(result.added, 2u);
  EXPECT_EQ(result.already_there, 2u);
  ASSERT_EQ(added.size(), 4u);
  EXPECT_TRUE(added[2].already_there && added[3].already_there);
  EXPECT_EQ(added[2].object, "C-1/E-1");
  EXPECT_EQ(added[3].object, "C-1/E-2");
  result = add(session, paths);
  EXPECT_EQ(result.added, 0u);
  EXPECT_EQ(result.already_there, 4u);
  EXPECT_EQ(body_count(), 1u);
  EXPECT_EQ(list_records(session, 1).size(), 2u);
}

TEST_F(Intake, GoesOnWhereItStopped) {
  auto session = anna();
  add(session, {file("a", noise(10, 1))});
  add(session, {file("b", noise(10, 2))});
  EXPECT_EQ(added[0].object, "C-1/E-2");
  new_case(session, "Another");
  EXPECT_EQ(add_files(session, 2, {files()}, {}, observer()).added, 2u);
}

TEST_F(Intake, SkipsAndNamesWhatItCannotTake) {
  file("in/good", as_bytes("x"));
  ASSERT_EQ(::mkfifo((files() / "in/pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("good", files() / "in/link");
  auto session = anna();
  const auto result = add(session, {files(), "/proc/self/status"});
  EXPECT_EQ(result.added, 1u);
  EXPECT_EQ(result.skipped, 3u);
  ASSERT_EQ(skipped.size(), 3u);
  EXPECT_EQ(skipped[2], (std::pair<std::string, std::string>("status", "it changed while it was read; add it again")));
}

TEST_F(Intake, UnreadableFilesAreSkipped) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  file("closed", as_bytes("x"));
  std::filesystem::permissions(files() / "closed", std::filesystem::perms(0));
  auto session = anna();
  EXPECT_EQ(add(session, {files()}).skipped, 1u);
}

TEST_F(Intake, MissingPathAddsNothing) {
  auto session = anna();
  EXPECT_EQ(code_of([&] { add(session, {file("there", as_bytes("x")), files() / "missing"}); }), Errc::kUsage);
  EXPECT_TRUE(list_records(session, 1).empty());
}

TEST_F(Intake, BadOptionsAddNothing) {
  auto session = anna();
  const auto path = file("a", as_bytes("x"));
  EXPECT_EQ(code_of([&] { add(session, {path}, {.title = std::string(1001, 'x')}); }), Errc::kUsage);
  EXPECT_EQ(code_of([&] { add(session, {path}, {.title = "\xFF"}); }), Errc::kUsage);
  EXPECT_EQ(code_of([&] { add(session, {path}, {.tags = {""}}); }), Errc::kUsage);
  EXPECT_EQ(code_of([&] { add(session, {path}, {.media_type = "text"}); }), Errc::kUsage);
  EXPECT_TRUE(list_records(session, 1).empty());
}

TEST_F(Intake, TakesTheAddRight) {
  vault.add_user("boris");
  {
    auto session = anna();
    grant_case(session, 1, "boris", Right::kRead);
  }
  const auto path = file("a", as_bytes("x"));
  {
    auto boris = vault.unlock("boris");
    EXPECT_EQ(code_of([&] { add(boris, {path}); }), Errc::kNotAllowed);
  }
  auto session = anna();
  close_case(session, 1);
  EXPECT_EQ(code_of([&] { add(session, {path}); }), Errc::kNotAllowed);
}

TEST_F(Intake, InterruptionKeepsWhatWasReported) {
  // More than one batch of bodies.
  for (int i = 0; i < 150; ++i) file("f" + std::to_string(1000 + i), noise(65537, static_cast<std::uint64_t>(i) + 1));
  std::atomic<bool> stop = false;
  auto environment = test::test_environment();
  environment.interrupted = [&] { return stop.load(); };
  {
    auto session = Vault::open(vault.path(), environment).unlock("anna", test::passphrase_of("anna"));
    auto watch = observer();
    watch.added = [&](const Added& one) {
      added.push_back(one);
      stop = true;
    };
    const auto error = error_of([&] { add_files(session, 1, {files()}, {}, watch); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), Errc::kInterrupted);
    EXPECT_NE(std::string(error->what()).find(std::to_string(added.size()) + " files"), std::string::npos)
        << error->what();
  }
  auto session = anna();
  const auto records = list_records(session, 1);
  EXPECT_EQ(records.size(), added.size());
  EXPECT_LT(records.size(), 150u);
  EXPECT_EQ(body_count(), records.size());
}

TEST_F(Intake, FullDiskLeavesNothingHalfMade) {
  auto session = anna();
  const auto path = file("big", noise(2'000'000));
  {
    const test::FileSizeLimit limit(1'000'000);
    EXPECT_EQ(code_of([&] { add(session, {path}); }), Errc::kNoSpace);
  }
  EXPECT_EQ(body_count(), 0u);
  EXPECT_TRUE(list_records(session, 1).empty());
  EXPECT_EQ(add(session, {path}).added, 1u);
}

TEST_F(Intake, RemovesItsLeftoversOnly) {
  auto session = anna();
  new_case(session, "Another");
  const auto leave = [&](std::int64_t number) {
    const auto open = open_case(session, number, Right::kRead, "test", "C");
    auto writer = session.bodies().create(open.store.body_name_key());
    writer.write(noise(70'000));
    writer.finish();
    writer.keep();
    return writer.ref().name;
  };
  const auto own = leave(1), other = leave(2);
  add(session, {file("a", noise(80'000, 3))});
  EXPECT_FALSE(std::filesystem::exists(session.bodies().path_of(own)));
  EXPECT_TRUE(std::filesystem::exists(session.bodies().path_of(other)));
  EXPECT_EQ(referenced(session), 1u);
}

TEST_F(Intake, ManySmallFiles) {
  for (int i = 0; i < 5000; ++i)
    file(std::to_string(i % 7) + "/f" + std::to_string(i),
         noise(100 + static_cast<std::size_t>(i) % 1900, static_cast<std::uint64_t>(i) + 1));
  auto session = anna();
  EXPECT_EQ(add(session, {files()}).added, 5000u);
  EXPECT_EQ(list_records(session, 1).size(), 5000u);
  EXPECT_EQ(sha256(cat(session, "C-1/E-4321")), added[4320].sha256);
}

// ---- Many small files share a body.
class Pack : public Intake {
 protected:
  /// Files of 10 kB that are not text, `from` to `to` - 1, in a folder.
  Path many(int from, int to) const {
    for (int i = from; i < to; ++i) file("many/f" + std::to_string(1000 + i), content(i));
    return files() / "many";
  }
  static Bytes content(int i) { return noise(10'000, static_cast<std::uint64_t>(i) + 1); }
  void expect_readable(Session& session, int from, int to) const {
    for (int i = from; i < to; ++i) EXPECT_EQ(cat(session, "C-1/E-" + std::to_string(i + 1)), content(i)) << i;
  }
  std::string only_body() const { return BodyStore(vault.path() / "bodies").list().bodies.at(0); }
};

TEST_F(Pack, HoldsManySmallFiles) {
  auto session = anna();
  EXPECT_EQ(add(session, {many(0, 200)}).added, 200u);
  EXPECT_EQ(body_count(), 1u);
  EXPECT_EQ(referenced(session), 1u);
  expect_readable(session, 0, 200);
  const auto seventh = content(6);
  EXPECT_EQ(cat(session, "C-1/E-7", {}, ByteRange{100, 199}), Bytes(seventh.begin() + 100, seventh.begin() + 200));
}

TEST_F(Pack, FewFilesStandInTheDatabase) {
  auto session = anna();
  add(session, {many(0, 100)});
  EXPECT_EQ(body_count(), 0u);
  expect_readable(session, 0, 100);
}

TEST_F(Pack, TextsStandInTheDatabase) {
  for (int i = 0; i < 150; ++i)
    file("t" + std::to_string(1000 + i), as_bytes("word" + std::to_string(i) + std::string(9'000, ' ')));
  auto session = anna();
  add(session, {files()});
  EXPECT_EQ(body_count(), 0u);
  EXPECT_EQ(search_records(session, "word77", 1).size(), 1u);
}

TEST_F(Pack, OnceMoreTakesNoSpace) {
  auto session = anna();
  add(session, {many(0, 200)});
  const auto before = only_body();
  EXPECT_EQ(add(session, {files()}).already_there, 200u);
  EXPECT_EQ(body_count(), 1u);
  EXPECT_EQ(only_body(), before);
}

TEST_F(Pack, HoldsOnlyWhatIsNew) {
  auto session = anna();
  add(session, {many(0, 200)});
  many(200, 210);  // little: into the database
  EXPECT_EQ(add(session, {files()}).added, 10u);
  EXPECT_EQ(body_count(), 1u);
  many(210, 400);  // much: another pack, without the others
  EXPECT_EQ(add(session, {files()}).added, 190u);
  EXPECT_EQ(body_count(), 2u);
  expect_readable(session, 0, 400);
  std::uint64_t bytes = 0;
  for (const auto& name : BodyStore(vault.path() / "bodies").list().bodies) {
    bytes += std::filesystem::file_size(session.bodies().path_of(name));
  }
  EXPECT_LT(bytes, 390u * 10'000 * 112 / 100);
}

TEST_F(Pack, SameContentTwiceInIt) {
  many(0, 150);
  for (int i = 0; i < 150; ++i) file("many/g" + std::to_string(1000 + i), content(i));
  auto session = anna();
  const auto result = add(session, {files()});
  EXPECT_EQ(result.added, 150u);
  EXPECT_EQ(result.already_there, 150u);
  EXPECT_EQ(added[200].object, "C-1/E-51");
  expect_readable(session, 0, 150);
}

TEST_F(Pack, BesideLargeFiles) {
  many(0, 150);
  file("many/a-large", noise(100'000, 7));
  file("many/z-large", noise(100'000, 8));
  auto session = anna();
  EXPECT_EQ(add(session, {files()}).added, 152u);
  EXPECT_EQ(body_count(), 3u);
  EXPECT_EQ(cat(session, "C-1/E-1"), noise(100'000, 7));
  EXPECT_EQ(cat(session, "C-1/E-152"), noise(100'000, 8));
  EXPECT_EQ(cat(session, "C-1/E-2"), content(0));
}

TEST_F(Pack, WithdrawalTakesOneOut) {
  auto session = anna();
  add(session, {many(0, 150)});
  const auto before = only_body();
  withdraw_record(session, *parse_object_name("C-1/E-50"), "asked for");
  EXPECT_EQ(body_count(), 1u);
  EXPECT_NE(only_body(), before);
  expect_readable(session, 0, 49);
  expect_readable(session, 50, 150);
  const auto size = std::filesystem::file_size(session.bodies().path_of(only_body()));
  withdraw_record(session, *parse_object_name("C-1/E-1"), "asked for");
  expect_readable(session, 50, 150);
  EXPECT_LE(std::filesystem::file_size(session.bodies().path_of(only_body())), size);
  EXPECT_EQ(add(session, {files()}).added, 2u);
}

TEST_F(Pack, DamageIsNamed) {
  auto session = anna();
  add(session, {many(0, 150)});
  test::flip_byte(session.bodies().path_of(only_body()), 16 + 65552 + 5);  // in its second chunk: E-7 to E-14
  const auto error = error_of([&] { cat(session, "C-1/E-10"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::kDamaged);
  EXPECT_NE(std::string(error->what()).find("C-1/E-10"), std::string::npos) << error->what();
  expect_readable(session, 0, 6);
  EXPECT_EQ(code_of([&] { withdraw_record(session, *parse_object_name("C-1/E-1"), "x"); }), Errc::kDamaged);
  expect_readable(session, 0, 6);
}

// ---- Testimonies.
const TestimonyFacts kFacts{"Волк", "ru", "2026-03-04", "Минск", "verbal"};

TEST_F(Intake, KeepsATestimony) {
  auto session = anna();
  const auto text = std::string("Я видел всё.");
  const auto result = add_testimony(session, 1, as_bytes(text), "", kFacts, {.title = "First", .tags = {"x"}});
  EXPECT_EQ(result.object, "C-1/T-1");
  EXPECT_FALSE(result.already_there);
  const auto details = *show_record(session, *parse_object_name("C-1/T-1")).record.newest().details;
  EXPECT_EQ(details.testimony, kFacts);
  EXPECT_EQ(details.name, "testimony.txt");
  EXPECT_EQ(details.title, "First");
  EXPECT_EQ(cat(session, "C-1/T-1"), bytes_of(text));
  EXPECT_TRUE(add_testimony(session, 1, as_bytes(text), "", kFacts, {}).already_there);
  auto other = kFacts;
  other.witness = "Fox";
  EXPECT_EQ(add_testimony(session, 1, as_bytes(text), "", other, {}).object, "C-1/T-2");
}

TEST_F(Intake, KeepsALongTestimony) {
  auto session = anna();
  std::string text = "beginning ";
  while (text.size() < 300'000) text += "слово ";
  text += "ending";
  EXPECT_EQ(add_testimony(session, 1, as_bytes(text), "long.txt", kFacts, {}).object, "C-1/T-1");
  EXPECT_EQ(cat(session, "C-1/T-1"), bytes_of(text));
  EXPECT_EQ(body_count(), 1u);
  EXPECT_EQ(search_records(session, "ending", 0).size(), 1u);
}

TEST_F(Intake, RefusesTestimoniesItCannotKeep) {
  auto session = anna();
  const auto refused = [&](ByteView text, const TestimonyFacts& facts) {
    return code_of([&] { add_testimony(session, 1, text, "t", facts, {}); }) == Errc::kUsage;
  };
  EXPECT_TRUE(refused({}, kFacts));
  EXPECT_TRUE(refused(as_bytes("\xFF"), kFacts));
  EXPECT_TRUE(refused(Bytes(kMaxTestimonySize + 1, std::byte{'a'}), kFacts));
  for (const auto& facts :
       {TestimonyFacts{"", "ru", "2026-01-01", "", ""}, TestimonyFacts{"W", "RU", "2026-01-01", "", ""},
        TestimonyFacts{"W", "ru", "2026-02-29", "", ""}, TestimonyFacts{"W", "ru", "1.1.2026", "", ""},
        TestimonyFacts{"W\xFF", "ru", "2026-01-01", "", ""},
        TestimonyFacts{"W", "ru", "", std::string(2001, 'x'), ""}}) {
    EXPECT_TRUE(refused(as_bytes("text"), facts));
  }
  EXPECT_TRUE(list_records(session, 1).empty());
}

// ---- New versions.
TEST_F(Intake, UpdatesEvidence) {
  auto session = anna();
  add(session, {file("a.txt", as_bytes("first"))}, {.title = "Title", .tags = {"tag"}});
  const auto object = *parse_object_name("C-1/E-1");
  auto result = update_record(session, object, file("b.bin", noise(100'000)), observer());
  EXPECT_EQ(result.version, 2);
  EXPECT_EQ(cat(session, "C-1/E-1"), noise(100'000));
  EXPECT_EQ(cat(session, "C-1/E-1", 1), bytes_of("first"));
  const auto record = record_history(session, object).record;
  ASSERT_EQ(record.versions.size(), 2u);
  EXPECT_EQ(record.newest().details->title, "Title");
  EXPECT_EQ(record.newest().details->name, "b.bin");
  EXPECT_EQ(record.newest().details->media_type, "application/octet-stream");
  result = update_record(session, object, files() / "b.bin", observer());
  EXPECT_TRUE(result.already_there);
  EXPECT_EQ(body_count(), 1u);
  EXPECT_EQ(update_record(session, object, files() / "a.txt", observer()).version, 3);
}

TEST_F(Intake, UpdatesATestimony) {
  auto session = anna();
  add_testimony(session, 1, as_bytes("one"), "t.txt", kFacts, {.title = "Title"});
  const auto object = *parse_object_name("C-1/T-1");
  EXPECT_EQ(update_record(session, object, file("two.txt", as_bytes("two")), observer()).version, 2);
  const auto details = *show_record(session, object).record.newest().details;
  EXPECT_EQ(details.testimony, kFacts);
  EXPECT_EQ(details.title, "Title");
  EXPECT_EQ(code_of([&] { update_record(session, object, file("bad", as_bytes("\xFF")), observer()); }), Errc::kUsage);
  EXPECT_EQ(search_records(session, "two", 1).size(), 1u);
  EXPECT_TRUE(search_records(session, "one", 1).empty());
}

TEST_F(Intake, RefusesUpdatesThatMakeNoSense) {
  auto session = anna();
  const auto path = file("a", as_bytes("x"));
  add(session, {path});
  const auto update = [&](const std::string& object, const Path& from) {
    return code_of([&] { update_record(session, *parse_object_name(object), from, observer()); });
  };
  EXPECT_EQ(update("C-1", path), Errc::kUsage);
  EXPECT_EQ(update("C-1/E-9", path), Errc::kNotFound);
  EXPECT_EQ(update("C-9/E-1", path), Errc::kNotFound);
  EXPECT_EQ(update("C-1/E-1", files()), Errc::kUsage);
  EXPECT_EQ(update("C-1/E-1", files() / "missing"), Errc::kUsage);
  EXPECT_EQ(update("C-1/E-1", "/dev/null"), Errc::kUsage);
  EXPECT_EQ(update("C-1/E-1", "/proc/self/status"), Errc::kUsage);
  withdraw_record(session, *parse_object_name("C-1/E-1"), "asked for");
  EXPECT_EQ(update("C-1/E-1", file("b", as_bytes("y"))), Errc::kUsage);
}

}  // namespace
}  // namespace casevault
