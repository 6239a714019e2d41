#include "vault/storage/database.h"

#include <fcntl.h>

#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

using test::bytes_of;
using test::code_of;
using test::error_of;
using test::read_file;
using test::TempFolder;
using test::write_file;

constexpr const char* kSchema = "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT, body BLOB) STRICT";

class Databases : public testing::Test {
 protected:
  Database create() const { return Database::create(path, key, kSchema, 1); }
  Database open() const { return Database::open(path, key, 1); }
  static void insert(const Database& database, std::string_view title, ByteView body) {
    database.prepare("INSERT INTO note (title, body) VALUES (?, ?)").bind(1, title).bind(2, body).run();
  }
  static std::int64_t count(const Database& database) {
    Statement read = database.prepare("SELECT count(*), sum(length(title)), sum(length(body)) FROM note");
    return read.step() ? read.integer(0) : -1;
  }
  static std::string value_of(const Database& database, const std::string& pragma) {
    Statement read = database.prepare(("PRAGMA " + pragma).c_str());
    return read.step() ? read.text(0) : "nothing";
  }
  static bool holds(const Path& file, std::string_view text) {
    const Bytes content = read_file(file);
    return as_text(content).find(text) != std::string_view::npos;
  }

  TempFolder folder;
  Path path = folder / "case.db";
  DatabaseKey key = DatabaseKey::random();
};

// ---- Making and opening.
TEST_F(Databases, KeepWhatWasPutIn) {
  insert(create(), "Протокол", bytes_of("text"));
  const Database database = open();
  Statement read = database.prepare("SELECT id, title, body FROM note");
  ASSERT_TRUE(read.step());
  EXPECT_EQ(read.integer(0), 1);
  EXPECT_EQ(read.text(1), "Протокол");
  EXPECT_EQ(read.blob(2), bytes_of("text"));
  EXPECT_FALSE(read.step());
  EXPECT_TRUE(database.check_integrity().empty());
  EXPECT_EQ(database.path(), path);
}

TEST_F(Databases, AreOursAlone) {
  create();
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
}

TEST_F(Databases, NeverOverwriteAFile) {
  write_file(path, bytes_of("mine"));
  EXPECT_EQ(code_of([&] { create(); }), Errc::kUsage);
  EXPECT_EQ(read_file(path), bytes_of("mine"));
}

TEST_F(Databases, HalfMadeOnesAreRemoved) {
  EXPECT_EQ(code_of([&] { Database::create(path, key, "CREATE TABLE a (x INTEGER) STRICT; nonsense", 1); }),
            Errc::kInternal);
  EXPECT_TRUE(folder.names().empty());
  const test::FileSizeLimit limit(2048);
  EXPECT_EQ(code_of([&] { create(); }), Errc::kNoSpace);
  EXPECT_TRUE(folder.names().empty());
}

struct Setting {
  const char* name;
  const char* value;
};
TEST_F(Databases, AreSetUpAsDocumented) {
  constexpr Setting kSettings[] = {{"cipher_page_size", "4096"},
                                   {"cipher_use_hmac", "1"},
                                   {"cipher_hmac_algorithm", "HMAC_SHA512"},
                                   {"cipher_kdf_algorithm", "PBKDF2_HMAC_SHA512"},
                                   {"cipher_plaintext_header_size", "0"},
                                   {"cipher_log_level", "NONE"},
                                   {"page_size", "4096"},
                                   {"journal_mode", "truncate"},
                                   {"synchronous", "3"},
                                   {"temp_store", "2"},
                                   {"secure_delete", "1"},
                                   {"foreign_keys", "1"},
                                   {"trusted_schema", "0"},
                                   {"cell_size_check", "1"},
                                   {"mmap_size", "0"},
                                   {"cache_size", "-32768"},
                                   {"user_version", "1"}};
  const Database created = create(), opened = open();
  for (const auto& [name, value] : kSettings) {
    EXPECT_EQ(value_of(created, name), value) << name;
    EXPECT_EQ(value_of(opened, name), value) << name;
  }
}

TEST_F(Databases, ForbidWhatIsDangerous) {
  const Database database = create();
  for (const char* sql :
       {"ATTACH DATABASE ':memory:' AS other", "SELECT load_extension('x')", "SELECT \"no such column\" FROM note",
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema"}) {
    EXPECT_EQ(code_of([&] { database.execute(sql); }), Errc::kInternal) << sql;
  }
}

TEST_F(Databases, MessagesCarryNoSql) {
  const Database database = create();
  for (const char* sql : {"SELECT secret FROM nowhere", "INSERT INTO note (id, title) VALUES (1, x'ff')"}) {
    const auto error = error_of([&] { database.execute(sql); });
    ASSERT_TRUE(error);
    EXPECT_EQ(std::string(error->what()).find("'case.db' failed: "), 0u) << error->what();
    for (const char* word : {"secret", "nowhere", "note", "title"})
      EXPECT_EQ(std::string(error->what()).find(word), std::string::npos) << error->what();
  }
}

TEST_F(Databases, WrongKey) {
  create();
  const DatabaseKey other = DatabaseKey::random();
  EXPECT_TRUE(Database::is_keyed_by(path, key));
  EXPECT_FALSE(Database::is_keyed_by(path, other));
  const auto error = error_of([&] { Database::open(path, other, 1); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::kDamaged);
  EXPECT_STREQ(error->what(), "'case.db' is not the database this key belongs to");
}

// The salt of the one on the pages of another: passes for the file of this key until a page is read.
TEST_F(Databases, WrongKeyUnderTheRightSalt) {
  create();
  const Path other_path = folder / "other.db";
  Database::create(other_path, DatabaseKey::random(), kSchema, 1);
  Bytes forged = read_file(other_path);
  const Bytes ours = read_file(path);
  std::copy_n(ours.begin(), 16, forged.begin());
  write_file(path, forged);
  EXPECT_TRUE(Database::is_keyed_by(path, key));
  EXPECT_EQ(code_of([&] { open(); }), Errc::kDamaged);
}

TEST_F(Databases, MissingEmptyOrNoFile) {
  EXPECT_EQ(code_of([&] { open(); }), Errc::kDamaged);
  EXPECT_FALSE(Database::is_keyed_by(path, key));
  EXPECT_TRUE(folder.names().empty()) << "opening makes nothing";
  write_file(path, {});
  EXPECT_EQ(code_of([&] { open(); }), Errc::kDamaged);
  write_file(path, bytes_of("SQLite format 3"));
  EXPECT_EQ(code_of([&] { open(); }), Errc::kDamaged);
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_EQ(code_of([&] { open(); }), Errc::kDamaged);
  std::filesystem::remove(path);
  Database::create(folder / "real.db", key, kSchema, 1);
  std::filesystem::create_symlink("real.db", path);
  EXPECT_EQ(code_of([&] { open(); }), Errc::kDamaged);
  EXPECT_FALSE(Database::is_keyed_by(path, key));
}

TEST_F(Databases, OtherVersions) {
  Database::create(path, key, kSchema, 3);
  EXPECT_EQ(code_of([&] { Database::open(path, key, 2); }), Errc::kNoVault);
  EXPECT_FALSE(code_of([&] { Database::open(path, key, 3); }));
  EXPECT_EQ(code_of([&] { Database::open(path, key, 4); }), Errc::kDamaged);
}

TEST_F(Databases, RelativeAndOddNames) {
  const Path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  for (const char* name : {"file:a.db?mode=memory", ":memory:", "plain.db"}) {
    Database::create(name, key, kSchema, 1);
    EXPECT_FALSE(code_of([&] { Database::open(name, key, 1); })) << name;
    EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
  }
  std::filesystem::current_path(before);
}

TEST_F(Databases, ReadOnlyOnesCanBeReadStill) {
  insert(create(), "a", {});
  std::filesystem::permissions(path, std::filesystem::perms(0444));
  std::filesystem::permissions(path.native() + "-journal", std::filesystem::perms(0444));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  EXPECT_TRUE(test::holds_in_child([&] {
    const Database database = open();
    EXPECT_EQ(count(database), 1);
    EXPECT_TRUE(database.check_integrity().empty());
    EXPECT_EQ(code_of([&] { insert(database, "b", {}); }), Errc::kNotAllowed);
  }));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0700));
}

TEST_F(Databases, UnreadableOnesSaySo) {
  create();
  std::filesystem::permissions(path, std::filesystem::perms::none);
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  EXPECT_TRUE(test::holds_in_child([&] { EXPECT_EQ(code_of([&] { open(); }), Errc::kNotAllowed); }));
}

// ---- Nothing readable, nothing changed unnoticed.
TEST_F(Databases, NoPlaintextInAnyFile) {
  constexpr std::string_view kMarker = "witness-marker-0123456789";
  const Database database = create();
  insert(database, kMarker, Bytes(20'000, std::byte{'w'}));
  database.execute("PRAGMA cache_size = 10");  // so that pages go to the disk before the commit
  Transaction transaction(database);
  for (int i = 0; i < 300; ++i) insert(database, kMarker, bytes_of(std::string(1000, 'w')));
  database.execute("UPDATE note SET title = title || 'x'");
  const Path journal = path.native() + "-journal";
  EXPECT_GT(std::filesystem::file_size(journal), 1000u);
  EXPECT_GT(std::filesystem::file_size(path), 300'000u);
  for (const Path& file : {path, journal}) {
    for (const std::string_view text : {kMarker, std::string_view("wwwwwwww"), std::string_view("CREATE"),
                                        std::string_view("note"), std::string_view("SQLite")}) {
      EXPECT_FALSE(holds(file, text)) << file << " " << text;
    }
  }
  transaction.commit();
  EXPECT_FALSE(holds(path, kMarker));
  EXPECT_EQ(std::filesystem::file_size(journal), 0u);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"case.db", "case.db-journal"}));
}

TEST_F(Databases, EveryByteCounts) {
  insert(create(), "title", bytes_of("body"));
  const Bytes good = read_file(path);
  ASSERT_LT(good.size(), 20'000u);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  std::size_t unnoticed = 0;
  testing::internal::CaptureStderr();
  for (std::size_t at = 0; at < good.size(); ++at) {
    const std::byte bad = good[at] ^ std::byte{0x10};
    ASSERT_EQ(::pwrite(file, &bad, 1, static_cast<off_t>(at)), 1);
    bool found = false;
    const auto code = code_of([&] {
      const Database database = open();
      found = !database.check_integrity().empty();
      count(database);
    });
    EXPECT_TRUE(!code || code == Errc::kDamaged) << "at " << at << " code " << static_cast<int>(*code);
    if (!found && !code) ++unnoticed;
    ASSERT_EQ(::pwrite(file, &good[at], 1, static_cast<off_t>(at)), 1);
  }
  ::close(file);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "SQLCipher is to be quiet";
  EXPECT_EQ(unnoticed, 0u);
  EXPECT_TRUE(open().check_integrity().empty());
}

TEST_F(Databases, CutOffExtendedOrShuffled) {
  {
    const Database database = create();
    for (int i = 0; i < 20; ++i) insert(database, "title", Bytes(3000));
  }
  const Bytes good = read_file(path);
  const auto is_noticed = [&](const Bytes& bad) {
    write_file(path, bad);
    bool found = false;
    const auto code = code_of([&] {
      const Database database = open();
      found = !database.check_integrity().empty();
      count(database);
    });
    EXPECT_TRUE(!code || code == Errc::kDamaged);
    return found || code == Errc::kDamaged;
  };
  EXPECT_FALSE(is_noticed(good));
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, good.size() - 1, good.size() - 4096}) {
    EXPECT_TRUE(is_noticed(Bytes(good.begin(), good.begin() + static_cast<long>(size)))) << size;
  }
  Bytes longer = good;
  longer.resize(good.size() + 4096);
  EXPECT_TRUE(is_noticed(longer));
  Bytes shuffled = good;
  std::swap_ranges(shuffled.begin() + 2 * 4096, shuffled.begin() + 3 * 4096, shuffled.begin() + 3 * 4096);
  EXPECT_TRUE(is_noticed(shuffled));
}

// Long values stand in overflow pages, where SQLCipher 4.6 by itself gives zeros instead of an error.
TEST_F(Databases, NoValueFromADamagedPage) {
  constexpr int kRows = 3;
  const Bytes body = test::noise(20'000);
  {
    const Database database = create();
    database.execute("CREATE TABLE copy (body BLOB) STRICT");
    for (int i = 0; i < kRows; ++i) insert(database, std::to_string(i), body);
  }
  const Bytes good = read_file(path);
  const auto read_all = [&](const Database& database) {
    Statement read = database.prepare("SELECT body FROM note");
    while (read.step()) EXPECT_EQ(read.blob(0), body);
  };
  const auto look_for_none = [&](const Database& database) {
    EXPECT_FALSE(database.prepare("SELECT 1 FROM note WHERE substr(body, -1) = x'77'").step());
  };
  const auto copy = [&](const Database& database) {
    Transaction transaction(database);
    database.execute("INSERT INTO copy SELECT body FROM note");
    transaction.commit();
  };
  const std::function<void(const Database&)> uses[] = {read_all, look_for_none, copy};
  for (std::size_t page = 1; page < good.size() / 4096; ++page) {
    if (page == 2) continue;  // the root of `copy`, which only the last of them reads
    for (const bool zeros : {false, true}) {
      for (const auto& use : uses) {
        Bytes bad = good;
        const auto place = bad.begin() + static_cast<long>(page) * 4096;
        if (zeros) std::fill_n(place, 4096, std::byte{0});
        place[100] ^= zeros ? std::byte{0} : std::byte{1};
        write_file(path, bad);
        EXPECT_EQ(code_of([&] { use(open()); }), Errc::kDamaged)
            << "page " << page + 1 << (zeros ? " zeroed" : " flipped") << ", use " << (&use - uses);
        EXPECT_FALSE(open().check_integrity().empty());
      }
    }
  }
  write_file(path, good);
  for (const auto& use : uses) EXPECT_FALSE(code_of([&] { use(open()); }));
}

// What keeps a page's error in sight must not keep locks longer than the statement.
TEST_F(Databases, ReadersLetGo) {
  const Database a = create(), b = open();
  b.execute("PRAGMA busy_timeout = 50");
  insert(a, "a", {});
  Statement unfinished = a.prepare("SELECT id FROM note");
  EXPECT_TRUE(unfinished.step());
  EXPECT_EQ(code_of([&] { insert(b, "b", {}); }), Errc::kBusy) << "a reader is at work";
  unfinished.reset();
  EXPECT_FALSE(code_of([&] { insert(b, "b", {}); }));
  EXPECT_TRUE(a.prepare("SELECT id FROM note").step());
  EXPECT_FALSE(code_of([&] { insert(b, "b", {}); })) << "destroyed";
  EXPECT_EQ(count(a), 3);
  EXPECT_FALSE(code_of([&] { insert(b, "b", {}); })) << "finished";
}

// ---- Transactions.
TEST_F(Databases, RollBackUnlessCommitted) {
  const Database database = create();
  {
    Transaction transaction(database);
    insert(database, "a", {});
  }
  EXPECT_EQ(count(database), 0);
  {
    Transaction transaction(database);
    insert(database, "a", {});
    transaction.commit();
  }
  EXPECT_EQ(count(open()), 1);
}

TEST_F(Databases, OneWriterAtATime) {
  const Database a = create(), b = open();
  b.execute("PRAGMA busy_timeout = 50");
  Transaction transaction(a);
  insert(a, "a", {});
  EXPECT_EQ(code_of([&] { Transaction other(b); }), Errc::kBusy);
  EXPECT_EQ(count(b), 0) << "reading goes on";
  transaction.commit();
  EXPECT_FALSE(code_of([&] { Transaction(b).commit(); }));
}

// Closing any descriptor of a file drops the process's fcntl locks on it, so nothing but SQLite may open one.
TEST_F(Databases, LooksAtTheKeyWithoutLosingLocks) {
  const Database database = create();
  Transaction transaction(database);
  insert(database, "a", {});
  EXPECT_TRUE(Database::is_keyed_by(path, key));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(path, std::filesystem::perms(0666));
  EXPECT_TRUE(test::holds_in_child([&] {
    constexpr off_t kReservedByte = 0x40000001;  // SQLite's file format, "locking"
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = kReservedByte;
    lock.l_len = 1;
    EXPECT_EQ(::fcntl(file, F_GETLK, &lock), 0);
    EXPECT_EQ(lock.l_type, F_WRLCK) << "nobody holds it any more";
  }));
}

TEST_F(Databases, FullDiskKeepsTheOldContent) {
  const Database database = create();
  insert(database, "old", {});
  {
    const test::FileSizeLimit limit(64 * 1024);
    EXPECT_EQ(code_of([&] {
                Transaction transaction(database);
                insert(database, "new", Bytes(300'000));
                transaction.commit();
              }),
              Errc::kNoSpace);
  }
  EXPECT_EQ(count(database), 1);
  EXPECT_EQ(count(open()), 1);
  EXPECT_TRUE(open().check_integrity().empty());
}

// ---- Statements.
TEST_F(Databases, ValuesComeBackAsTheyWere) {
  const Database database = create();
  Statement write = database.prepare("INSERT INTO note (id, title, body) VALUES (?, ?, ?)");
  write.bind(1, std::int64_t{INT64_MIN}).bind(2, std::string_view("a\0b", 3)).bind(3, bytes_of("x")).run();
  const Bytes bytes = {std::byte{0}, std::byte{255}};
  write.bind(1, std::int64_t{1}).bind(2, std::string_view()).bind(3, ByteView()).run();
  write.bind(1, std::int64_t{2}).bind_null(2).bind(3, bytes).run();
  Statement read = database.prepare("SELECT id, title, body FROM note ORDER BY id");
  ASSERT_TRUE(read.step());
  EXPECT_EQ(read.integer(0), INT64_MIN);
  EXPECT_EQ(read.text(1), std::string("a\0b", 3));
  ASSERT_TRUE(read.step());
  EXPECT_FALSE(read.is_null(1));
  EXPECT_EQ(read.text(1), "");
  EXPECT_FALSE(read.is_null(2)) << "empty is not NULL";
  EXPECT_TRUE(read.blob(2).empty());
  ASSERT_TRUE(read.step());
  EXPECT_TRUE(read.is_null(1));
  EXPECT_EQ(read.text(1), "");
  EXPECT_TRUE(std::ranges::equal(read.blob_view(2), bytes));
  EXPECT_FALSE(read.step());
  EXPECT_TRUE(read.step()) << "anew";
}

TEST_F(Databases, ParametersAreForgottenByAReset) {
  const Database database = create();
  Statement read = database.prepare("SELECT ?");
  ASSERT_TRUE(read.bind(1, "x").step());
  EXPECT_EQ(read.text(0), "x");
  read.reset();
  ASSERT_TRUE(read.step());
  EXPECT_TRUE(read.is_null(0));
}

TEST_F(Databases, StatementsMayBeDestroyedLater) {
  std::optional<Statement> fresh, running;
  {
    const Database database = create();
    insert(database, "a", {});
    fresh = database.prepare("SELECT id FROM note");
    running = database.prepare("SELECT id FROM note");
    EXPECT_TRUE(running->step());
  }
  running.reset();
  fresh.reset();
  EXPECT_FALSE(code_of([&] { insert(open(), "b", {}); })) << "no lock was left behind";
}

TEST_F(Databases, BrokenRulesAreErrors) {
  const Database database = create();
  insert(database, "a", {});
  EXPECT_EQ(code_of([&] { database.execute("INSERT INTO note (id) VALUES (1)"); }), Errc::kInternal);
  EXPECT_EQ(code_of([&] { database.prepare("SELECT ?").bind(2, "x"); }), Errc::kInternal);
  EXPECT_EQ(code_of([&] { database.prepare(""); }), Errc::kInternal);
}

TEST(DatabaseLibrary, TellsItsVersions) {
  const auto version = database_library_version();
  EXPECT_EQ(version.sqlcipher.substr(0, 2), "4.");
  EXPECT_EQ(version.sqlite.substr(0, 2), "3.");
}

}  // namespace
}  // namespace casevault
