#include <sys/stat.h>

#include <atomic>

#include "tests/support/test_vault.h"
#include "vault/access/case_access.h"
#include "vault/audit/log.h"
#include "vault/records/intake.h"
#include "vault/records/reading.h"
#include "vault/storage/bodies.h"

namespace casevault {
namespace {

using test::bytes_of;
using test::code_of;
using test::error_of;
using test::noise;
using test::read_file;
using test::write_file;

const TestimonyFacts kFacts{"Волк", "ru", "2026-03-04", "Минск", "verbal"};

/// A case with a small file, a big one, one of a name that is not safe, and a testimony.
class Reading : public testing::Test {
 protected:
  void SetUp() override {
    auto session = anna();
    new_case(session, "Case");
    std::filesystem::create_directories(files() / "d");
    write_file(files() / "a.txt", as_bytes("apple pie"));
    write_file(files() / "big.bin", big);
    write_file(files() / "d/a:b\n.txt", as_bytes("pear"));
    for (const auto* name : {"a.txt", "big.bin", "d"}) add_files(session, 1, {files() / name}, {}, {});
    add_testimony(session, 1, as_bytes("СВИДЕТЕЛЬ видел Алёну"), "words.txt", kFacts, {});
  }
  Session anna() const { return vault.unlock("anna"); }
  Path files() const { return vault.folder() / "files"; }
  Path out() const { return vault.folder() / "out"; }
  static ObjectName object(const std::string& text) { return *parse_object_name(text); }
  static Bytes cat(Session& session, const std::string& name, std::optional<ByteRange> range = {}) {
    Bytes content;
    read_content(session, object(name), {}, range,
                 [&](ByteView part) { content.insert(content.end(), part.begin(), part.end()); });
    return content;
  }
  std::size_t export_all(Session& session, const std::vector<std::string>& names) {
    std::vector<ObjectName> objects;
    for (const auto& name : names) objects.push_back(object(name));
    exported.clear();
    return export_records(session, objects, out(), {[this](const Exported& one) { exported.push_back(one); }, {}});
  }
  static std::vector<std::string> hits(Session& session, const std::string& query, std::int64_t number = 0) {
    std::vector<std::string> found;
    for (const auto& hit : search_records(session, query, number)) found.push_back(hit.object);
    return found;
  }
  Path only_body() const {
    const BodyStore bodies(vault.path() / "bodies");
    return bodies.path_of(bodies.list().bodies.at(0));
  }
  /// Paths below `out`, sorted.
  std::vector<std::string> tree() const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out())) {
      if (!entry.is_directory()) paths.push_back(std::filesystem::relative(entry.path(), out()).native());
    }
    std::ranges::sort(paths);
    return paths;
  }

  test::TestVault vault;
  const Bytes big = noise(1'000'000, 5);
  std::vector<Exported> exported;
};

TEST_F(Reading, Lists) {
  auto session = anna();
  const auto records = list_records(session, 1);
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].object, "C-1/E-1");
  EXPECT_EQ(records[3].object, "C-1/T-1");
  EXPECT_EQ(records[2].record.newest().details->name, "d/a:b\n.txt");
}

TEST_F(Reading, EverythingIsLogged) {
  auto session = anna();
  const auto grows = [&](const std::function<void()>& action) {
    const auto before = session.log().head().size;
    action();
    return session.log().head().size > before;
  };
  EXPECT_TRUE(grows([&] { list_records(session, 1); }));
  EXPECT_TRUE(grows([&] { show_record(session, object("C-1/E-1")); }));
  EXPECT_TRUE(grows([&] { record_history(session, object("C-1/E-1")); }));
  EXPECT_TRUE(grows([&] { hits(session, "nothing"); }));
  EXPECT_TRUE(grows([&] { export_all(session, {"C-1"}); }));
  // Before the first byte is out.
  const auto before = session.log().head().size;
  read_content(session, object("C-1/E-1"), {}, {}, [&](ByteView) { EXPECT_GT(session.log().head().size, before); });
}

TEST_F(Reading, UnknownObjects) {
  auto session = anna();
  const auto shown = [&](const std::string& name) { return code_of([&] { show_record(session, object(name)); }); };
  EXPECT_EQ(shown("C-1/E-9"), Errc::kNotFound);
  EXPECT_EQ(shown("C-1/T-2"), Errc::kNotFound);
  EXPECT_EQ(shown("C-2/E-1"), Errc::kNotFound);
  EXPECT_EQ(shown("C-1"), Errc::kUsage);
  EXPECT_EQ(code_of([&] { read_content(session, object("C-1/E-1"), 2, {}, [](ByteView) {}); }), Errc::kNotFound);
}

struct RangeRow {
  const char* name;
  std::uint64_t first;
  std::optional<std::uint64_t> last;
  std::optional<std::uint64_t> size;  // none: refused
};
class ContentRange : public Reading, public testing::WithParamInterface<RangeRow> {};
TEST_P(ContentRange, IsCut) {
  const auto& row = GetParam();
  auto session = anna();
  Bytes part;
  const auto code = code_of([&] { part = cat(session, "C-1/E-2", ByteRange{row.first, row.last}); });
  if (!row.size) {
    EXPECT_EQ(code, Errc::kUsage);
    return;
  }
  ASSERT_EQ(code, std::nullopt);
  ASSERT_EQ(part.size(), *row.size);
  EXPECT_TRUE(std::ranges::equal(part, std::span(big).subspan(row.first, *row.size)));
}
constexpr RangeRow kRangeRows[] = {
    {"first_byte", 0, 0, 1},
    {"within_a_chunk", 10, 19, 10},
    {"across_chunks", 65530, 131080, 65551},
    {"to_the_end", 999'000, std::nullopt, 1000},
    {"beyond_the_end", 999'999, 5'000'000, 1},
    {"everything", 0, std::nullopt, 1'000'000},
    {"behind_the_end", 1'000'000, std::nullopt, std::nullopt},
    {"backwards", 10, 9, std::nullopt},
};
INSTANTIATE_TEST_SUITE_P(Rows, ContentRange, testing::ValuesIn(kRangeRows), test::row_name<RangeRow>);

TEST_F(Reading, DamagedBodyShowsNothing) {
  test::flip_byte(only_body(), 900'000);
  auto session = anna();
  Bytes shown;
  const auto error = error_of([&] {
    read_content(session, object("C-1/E-2"), {}, {}, [&](ByteView part) { shown.assign(part.begin(), part.end()); });
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::kDamaged);
  EXPECT_NE(std::string(error->what()).find("C-1/E-2"), std::string::npos) << error->what();
  EXPECT_TRUE(shown.empty());
  EXPECT_EQ(cat(session, "C-1/E-2", ByteRange{0, 9}), Bytes(big.begin(), big.begin() + 10));
  std::filesystem::remove(only_body());
  EXPECT_EQ(code_of([&] { cat(session, "C-1/E-2"); }), Errc::kDamaged);
  EXPECT_EQ(cat(session, "C-1/E-1"), bytes_of("apple pie"));
}

// ---- Search.
TEST_F(Reading, Searches) {
  auto session = anna();
  EXPECT_EQ(hits(session, "свидет"), std::vector<std::string>{"C-1/T-1"});
  EXPECT_EQ(hits(session, "алену видел"), std::vector<std::string>{"C-1/T-1"});
  EXPECT_EQ(hits(session, "PIE", 1), std::vector<std::string>{"C-1/E-1"});
  EXPECT_EQ(hits(session, "txt"), (std::vector<std::string>{"C-1/E-1", "C-1/E-3", "C-1/T-1"}));
  EXPECT_TRUE(hits(session, "absent").empty());
  EXPECT_EQ(code_of([&] { hits(session, " "); }), Errc::kUsage);
  EXPECT_EQ(code_of([&] { hits(session, "pie", 2); }), Errc::kNotFound);
}

TEST_F(Reading, SearchesOnlyCasesOneMayRead) {
  vault.add_user("boris");
  auto session = anna();
  new_case(session, "Second");
  add_files(session, 2, {files() / "a.txt"}, {}, {});
  EXPECT_EQ(hits(session, "pie"), (std::vector<std::string>{"C-1/E-1", "C-2/E-1"}));
  grant_case(session, 2, "boris", Right::kRead);
  auto boris = vault.unlock("boris");
  EXPECT_EQ(hits(boris, "pie"), std::vector<std::string>{"C-2/E-1"});
}

// ---- Export.
TEST_F(Reading, Exports) {
  auto session = anna();
  EXPECT_EQ(export_all(session, {"C-1"}), 4u);
  EXPECT_EQ(tree(), (std::vector<std::string>{"C-1/a.txt", "C-1/big.bin", "C-1/d/a_b_.txt", "C-1/words.txt",
                                              "manifest-sha256.txt"}));
  EXPECT_EQ(read_file(out() / "C-1/big.bin"), big);
  EXPECT_EQ(read_file(out() / "C-1/d/a_b_.txt"), bytes_of("pear"));
  ASSERT_EQ(exported.size(), 4u);
  EXPECT_EQ(exported[2].original_name, "d/a:b\n.txt");
  EXPECT_EQ(exported[2].path, "C-1/d/a_b_.txt");
  EXPECT_EQ(exported[0].original_name, "");
  EXPECT_EQ(std::system(("cd '" + out().native() + "' && sha256sum --quiet --strict -c manifest-sha256.txt").c_str()),
            0);
  struct stat status {};
  ASSERT_EQ(::stat((out() / "C-1/a.txt").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Reading, ExportsWhatIsNamedOnce) {
  auto session = anna();
  EXPECT_EQ(export_all(session, {"C-1/E-1", "C-1/T-1", "C-1/E-1"}), 2u);
  EXPECT_EQ(tree(), (std::vector<std::string>{"C-1/a.txt", "C-1/words.txt", "manifest-sha256.txt"}));
}

TEST_F(Reading, ExportOverwritesNothing) {
  auto session = anna();
  std::filesystem::create_directories(out() / "C-1");
  write_file(out() / "C-1/big.bin", as_bytes("mine"));
  const auto error = error_of([&] { export_all(session, {"C-1"}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::kUsage);
  EXPECT_NE(std::string(error->what()).find("big.bin"), std::string::npos) << error->what();
  EXPECT_EQ(tree(), std::vector<std::string>{"C-1/big.bin"});
  EXPECT_EQ(read_file(out() / "C-1/big.bin"), bytes_of("mine"));
  write_file(out() / "manifest-sha256.txt", {});
  EXPECT_EQ(code_of([&] { export_all(session, {"C-1/E-1"}); }), Errc::kUsage);
}

TEST_F(Reading, ExportIsNotLedAway) {
  auto session = anna();
  std::filesystem::create_directories(out());
  std::filesystem::create_directories(vault.folder() / "elsewhere");
  std::filesystem::create_directory_symlink(vault.folder() / "elsewhere", out() / "C-1");
  EXPECT_EQ(code_of([&] { export_all(session, {"C-1"}); }), Errc::kUsage);
  EXPECT_TRUE(std::filesystem::is_empty(vault.folder() / "elsewhere"));
  EXPECT_EQ(code_of([&] { export_records(session, {object("C-1")}, vault.path() / "cases", {}); }), Errc::kUsage);
}

TEST_F(Reading, ExportRefusesDamage) {
  test::flip_byte(only_body(), 500'000);
  auto session = anna();
  const auto error = error_of([&] { export_all(session, {"C-1"}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::kDamaged);
  EXPECT_NE(std::string(error->what()).find("C-1/E-2"), std::string::npos) << error->what();
  EXPECT_TRUE(tree().empty());
}

TEST_F(Reading, ExportOnAFullDisk) {
  auto session = anna();
  {
    const test::FileSizeLimit limit(500'000);
    const auto error = error_of([&] { export_all(session, {"C-1"}); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), Errc::kNoSpace);
    EXPECT_NE(std::string(error->what()).find((out() / "C-1").native()), std::string::npos) << error->what();
  }
  EXPECT_TRUE(tree().empty());
}

TEST_F(Reading, InterruptedExportNamesWhatIsThere) {
  {
    auto session = anna();
    for (int i = 0; i < 400; ++i)
      write_file(files() / ("d/n" + std::to_string(1000 + i)), noise(100, static_cast<std::uint64_t>(i) + 9));
    add_files(session, 1, {files() / "d"}, {}, {});
  }
  std::atomic<bool> stop = false;
  auto environment = test::test_environment();
  environment.interrupted = [&] { return stop.load(); };
  auto session = Vault::open(vault.path(), environment).unlock("anna", test::passphrase_of("anna"));
  std::vector<std::string> named;
  const auto error = error_of([&] {
    export_records(session, {object("C-1")}, out(),
                   {[&](const Exported& one) {
                      named.push_back(one.path);
                      stop = true;
                    },
                    {}});
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::kInterrupted);
  EXPECT_NE(std::string(error->what()).find(std::to_string(named.size()) + " files"), std::string::npos)
      << error->what();
  std::ranges::sort(named);
  EXPECT_EQ(tree(), named);
  EXPECT_GT(named.size(), 0u);
  EXPECT_LT(named.size(), 404u);
}

// ---- Withdrawal.
TEST_F(Reading, WithdrawnIsGone) {
  auto session = anna();
  const auto body = only_body();
  withdraw_record(session, object("C-1/E-2"), "consent withdrawn");
  EXPECT_FALSE(std::filesystem::exists(body));
  const auto error = error_of([&] { cat(session, "C-1/E-2"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::kNotFound);
  EXPECT_NE(std::string(error->what()).find("withdrawn on 2023-11-14"), std::string::npos) << error->what();
  const auto record = show_record(session, object("C-1/E-2")).record;
  ASSERT_TRUE(record.withdrawal);
  EXPECT_EQ(record.withdrawal->reason, "consent withdrawn");
  EXPECT_EQ(record.withdrawal->by, session.user_id());
  EXPECT_FALSE(record.newest().details);
  withdraw_record(session, object("C-1/T-1"), "consent withdrawn");
  EXPECT_TRUE(hits(session, "свидет").empty());
  EXPECT_EQ(hits(session, "pie"), std::vector<std::string>{"C-1/E-1"});
  EXPECT_EQ(cat(session, "C-1/E-3"), bytes_of("pear"));
  EXPECT_EQ(export_all(session, {"C-1"}), 2u);
  EXPECT_EQ(code_of([&] { withdraw_record(session, object("C-1/E-2"), "again"); }), Errc::kUsage);
  EXPECT_EQ(code_of([&] { export_records(session, {object("C-1/E-2")}, vault.folder() / "out2", {}); }),
            Errc::kNotFound);
  // It may come again, as another record.
  add_files(session, 1, {files() / "big.bin"}, {}, {});
  EXPECT_EQ(cat(session, "C-1/E-4"), big);
}

TEST_F(Reading, WithdrawalTakesTheManageRight) {
  vault.add_user("boris");
  auto session = anna();
  grant_case(session, 1, "boris", Right::kAdd);
  auto boris = vault.unlock("boris");
  EXPECT_EQ(code_of([&] { withdraw_record(boris, object("C-1/E-1"), "no"); }), Errc::kNotAllowed);
  EXPECT_EQ(code_of([&] { withdraw_record(session, object("C-1/E-1"), ""); }), Errc::kUsage);
  EXPECT_EQ(code_of([&] { withdraw_record(session, object("C-1/E-9"), "x"); }), Errc::kNotFound);
}

TEST_F(Reading, ForgedVersionIsNotShown) {
  vault.add_user("boris");
  {
    auto session = anna();
    grant_case(session, 1, "boris", Right::kRead);
  }
  {
    auto boris = vault.unlock("boris");
    auto open = open_case(boris, 1, Right::kRead, "show", "C-1");
    const auto content = bytes_of("forged");
    Transaction transaction(open.store.database());
    open.store.add_version({{RecordKind::kEvidence, 1},
                            2,
                            {.name = "a", .media_type = "text/plain", .size = 6, .sha256 = sha256(content)},
                            ""},
                           content, case_stamp(boris, open));
    transaction.commit();
  }
  auto session = anna();
  EXPECT_EQ(code_of([&] { show_record(session, object("C-1/E-1")); }), Errc::kDamaged);
}

}  // namespace
}  // namespace casevault
