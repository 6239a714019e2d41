#include "vault/storage/file.h"

#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

using test::bytes_of;
using test::code_of;
using test::error_of;
using test::read_file;
using test::TempFolder;
using test::write_file;

mode_t mode_of(const Path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

struct ErrnoRow {
  const char* name;
  int error;
  Errc code;
};
void PrintTo(const ErrnoRow& row, std::ostream* out) { *out << row.name; }
class ErrorCode : public testing::TestWithParam<ErrnoRow> {};
TEST_P(ErrorCode, OfErrno) { EXPECT_EQ(error_code_of(GetParam().error), GetParam().code); }
INSTANTIATE_TEST_SUITE_P(
    Table, ErrorCode,
    testing::Values(ErrnoRow{"ENOSPC", ENOSPC, Errc::kNoSpace}, ErrnoRow{"EDQUOT", EDQUOT, Errc::kNoSpace},
                    ErrnoRow{"EFBIG", EFBIG, Errc::kNoSpace}, ErrnoRow{"EACCES", EACCES, Errc::kNotAllowed},
                    ErrnoRow{"EPERM", EPERM, Errc::kNotAllowed}, ErrnoRow{"EROFS", EROFS, Errc::kNotAllowed},
                    ErrnoRow{"EIO", EIO, Errc::kInternal}, ErrnoRow{"EMFILE", EMFILE, Errc::kInternal}),
    test::row_name<ErrnoRow>);

// ---- Opening.
TEST(FileOpen, NothingThere) {
  const TempFolder folder;
  write_file(folder / "file", bytes_of("x"));
  for (const char* name : {"missing", "missing/too", "file/below"}) {
    EXPECT_FALSE(File::open_for_reading(folder / name)) << name;
    EXPECT_FALSE(File::open_for_update(folder / name)) << name;
    EXPECT_FALSE(read_small_file(folder / name, 10)) << name;
    EXPECT_FALSE(remove_file(folder / name)) << name;
  }
  EXPECT_TRUE(code_of([&] { File::open_directory(folder / "missing"); }));
}

TEST(FileOpen, OnlyRegularFilesAndNoLinks) {
  const TempFolder folder;
  write_file(folder / "file", bytes_of("x"));
  std::filesystem::create_symlink("file", folder / "link");
  std::filesystem::create_directory(folder / "folder");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const char* name : {"link", "folder", "pipe"}) {
    EXPECT_EQ(code_of([&] { File::open_for_reading(folder / name); }), Errc::kUsage) << name;
    EXPECT_EQ(code_of([&] { File::open_for_update(folder / name); }), Errc::kUsage) << name;
  }
}

TEST(FileOpen, NewOnesAreOursAlone) {
  const TempFolder folder;
  File file = File::create_new(folder / "a");
  EXPECT_EQ(mode_of(folder / "a"), 0600u);
  EXPECT_EQ(code_of([&] { File::create_new(folder / "a"); }), Errc::kUsage);
  std::filesystem::create_symlink("nowhere", folder / "link");
  EXPECT_EQ(code_of([&] { File::create_new(folder / "link"); }), Errc::kUsage);
}

TEST(FileOpen, MessagesNameTheFileEscaped) {
  const TempFolder folder;
  write_file(folder / "a\x1b[2J\n", bytes_of("x"));
  const auto error = error_of([&] { File::create_new(folder / "a\x1b[2J\n"); });
  ASSERT_TRUE(error);
  EXPECT_NE(std::string(error->what()).find("a\\x1b[2J\\n'"), std::string::npos) << error->what();
}

TEST(FileOpen, RefusedByPermissions) {
  const TempFolder folder;
  write_file(folder / "secret", bytes_of("x"));
  std::filesystem::permissions(folder / "secret", std::filesystem::perms::none);
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  EXPECT_TRUE(test::holds_in_child([&] {
    EXPECT_EQ(code_of([&] { File::open_for_reading(folder / "secret"); }), Errc::kNotAllowed);
    EXPECT_EQ(code_of([&] { File::create_new(folder / "new"); }), Errc::kNotAllowed);
    EXPECT_EQ(code_of([&] { replace_file(folder / "secret", {}); }), Errc::kNotAllowed);
    EXPECT_EQ(code_of([&] { make_directory(folder / "new"); }), Errc::kNotAllowed);
    EXPECT_EQ(code_of([&] { remove_file(folder / "secret"); }), Errc::kNotAllowed);
  }));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0700));
}

// ---- Reading and writing.
TEST(FileReadWrite, AnywhereAndUpToTheEnd) {
  const TempFolder folder;
  File file = File::create_new(folder / "a");
  file.write_at(3, bytes_of("defg"));
  file.write_at(0, bytes_of("abc"));
  file.write_at(100, {});
  EXPECT_EQ(file.size(), 7u);
  Bytes out(5);
  EXPECT_EQ(file.read_at(1, out), 5u);
  EXPECT_EQ(out, bytes_of("bcdef"));
  EXPECT_EQ(file.read_at(5, out), 2u);
  EXPECT_EQ(file.read_at(7, out), 0u);
  EXPECT_EQ(file.read_at(700, out), 0u);
  file.truncate(2);
  file.sync();
  file.drop_cache();
  EXPECT_EQ(read_file(folder / "a"), bytes_of("ab"));
}

TEST(FileReadWrite, ReadOnlyOnesAreNotWritten) {
  const TempFolder folder;
  write_file(folder / "a", bytes_of("x"));
  auto file = File::open_for_reading(folder / "a");
  EXPECT_TRUE(code_of([&] { file->write_at(0, bytes_of("y")); }));
  EXPECT_EQ(read_file(folder / "a"), bytes_of("x"));
}

TEST(FileReadWrite, FullDisk) {
  const TempFolder folder;
  File file = File::create_new(folder / "a");
  const test::FileSizeLimit limit(4096);
  EXPECT_EQ(code_of([&] { file.write_at(0, Bytes(5000)); }), Errc::kNoSpace) << "after a short write";
  EXPECT_EQ(code_of([&] { file.allocate(8192); }), Errc::kNoSpace);
  EXPECT_EQ(code_of([&] { file.truncate(8192); }), Errc::kNoSpace);
}

TEST(FileReadWrite, AllocatedBlocksAreReal) {
  const TempFolder folder;
  File file = File::create_new(folder / "a");
  file.allocate(1 << 20);
  struct stat status {};
  ASSERT_EQ(::stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 1 << 20);
  EXPECT_GE(status.st_blocks * 512, 1 << 20);
}

TEST(FileReadWrite, KnowsWhetherItStillHasAName) {
  const TempFolder folder;
  const File file = File::create_new(folder / "a");
  EXPECT_TRUE(file.is_linked());
  EXPECT_TRUE(remove_file(folder / "a"));
  EXPECT_FALSE(file.is_linked());
}

TEST(FileReadWrite, MovedFromIsClosedOnce) {
  const TempFolder folder;
  File a = File::create_new(folder / "a");
  const int descriptor = a.descriptor();
  File b = std::move(a);
  EXPECT_EQ(b.descriptor(), descriptor);
  b = File::create_new(folder / "b");
  EXPECT_EQ(b.path(), folder / "b");
}

// ---- Small files.
TEST(SmallFile, UpToItsLimit) {
  const TempFolder folder;
  write_file(folder / "a", bytes_of("12345"));
  EXPECT_EQ(read_small_file(folder / "a", 5), bytes_of("12345"));
  EXPECT_EQ(code_of([&] { read_small_file(folder / "a", 4); }), Errc::kDamaged);
  write_file(folder / "a", {});
  EXPECT_EQ(read_small_file(folder / "a", 0), Bytes());
}

TEST(SmallFile, IsReplacedOrMade) {
  const TempFolder folder;
  replace_file(folder / "a", bytes_of("one"));
  replace_file(folder / "a", bytes_of("two"));
  EXPECT_EQ(read_file(folder / "a"), bytes_of("two"));
  EXPECT_EQ(mode_of(folder / "a"), 0600u);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
}

TEST(SmallFile, ReplacingALinkLeavesItsTarget) {
  const TempFolder folder;
  write_file(folder / "target", bytes_of("x"));
  std::filesystem::create_symlink("target", folder / "link");
  replace_file(folder / "link", bytes_of("y"));
  EXPECT_EQ(read_file(folder / "target"), bytes_of("x"));
  EXPECT_EQ(read_file(folder / "link"), bytes_of("y"));
}

TEST(SmallFile, FullDiskLeavesTheOldContentAndNothingElse) {
  const TempFolder folder;
  replace_file(folder / "a", bytes_of("old"));
  const test::FileSizeLimit limit(4096);
  EXPECT_EQ(code_of([&] { replace_file(folder / "a", Bytes(8192)); }), Errc::kNoSpace);
  EXPECT_EQ(code_of([&] { write_new_file(folder / "b", Bytes(8192)); }), Errc::kNoSpace);
  EXPECT_EQ(read_file(folder / "a"), bytes_of("old"));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
}

TEST(SmallFile, NewNeverOverwrites) {
  const TempFolder folder;
  write_new_file(folder / "a", bytes_of("one"));
  EXPECT_EQ(code_of([&] { write_new_file(folder / "a", bytes_of("two")); }), Errc::kUsage);
  EXPECT_EQ(read_file(folder / "a"), bytes_of("one"));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
}

TEST(SmallFile, ReadersSeeTheOldOrTheNewOnly) {
  const TempFolder folder;
  const Bytes contents[2] = {Bytes(30'000, std::byte{'a'}), Bytes(50'000, std::byte{'b'})};
  replace_file(folder / "a", contents[0]);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 1; i <= 200; ++i) replace_file(folder / "a", contents[i % 2]);
    done = true;
  });
  int mixed = 0;
  while (!done) {
    const auto seen = read_small_file(folder / "a", 1 << 20);
    if (!seen || (*seen != contents[0] && *seen != contents[1])) ++mixed;
  }
  writer.join();
  EXPECT_EQ(mixed, 0);
}

// ---- Names.
TEST(Publish, MovesToAFreeNameOnly) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "to");
  write_file(folder / "a", bytes_of("a"));
  publish_file(folder / "a", folder / "to" / "b");
  EXPECT_EQ(read_file(folder / "to" / "b"), bytes_of("a"));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"to"});
}

TEST(Publish, NeverOverwrites) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "folder");
  std::filesystem::create_symlink("nowhere", folder / "link");
  write_file(folder / "taken", bytes_of("old"));
  write_file(folder / "a", bytes_of("new"));
  for (const char* name : {"taken", "folder", "link"}) {
    EXPECT_EQ(code_of([&] { publish_file(folder / "a", folder / name); }), Errc::kUsage) << name;
  }
  EXPECT_EQ(read_file(folder / "taken"), bytes_of("old"));
  EXPECT_EQ(read_file(folder / "a"), bytes_of("new"));
  EXPECT_TRUE(code_of([&] { publish_file(folder / "missing", folder / "b"); }));
}

TEST(Rename, PutsOneInTheOthersPlace) {
  const TempFolder folder;
  write_file(folder / "a", bytes_of("new"));
  write_file(folder / "b", bytes_of("old"));
  replace_by_rename(folder / "a", folder / "b");
  EXPECT_EQ(read_file(folder / "b"), bytes_of("new"));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"b"});
}

TEST(Directory, IsMadeOnce) {
  const TempFolder folder;
  EXPECT_TRUE(make_directory(folder / "a"));
  EXPECT_EQ(mode_of(folder / "a"), 0700u);
  EXPECT_FALSE(make_directory(folder / "a"));
  write_file(folder / "file", {});
  EXPECT_EQ(code_of([&] { make_directory(folder / "file"); }), Errc::kUsage);
  EXPECT_TRUE(code_of([&] { make_directory(folder / "missing" / "a"); }));
  remove_empty_directory(folder / "a");
  remove_empty_directory(folder / "a");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"file"});
}

TEST(Directory, RelativeNamesWork) {
  const TempFolder folder;
  const Path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  EXPECT_TRUE(make_directory("a"));
  EXPECT_TRUE(make_directory("b/"));
  replace_file("c", bytes_of("c"));
  publish_file("c", "d");
  std::filesystem::current_path(before);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"a", "b", "d"}));
}

TEST(Directory, IsListedInOrder) {
  const TempFolder folder;
  for (const char* name : {"b", "a", ".hidden", "ж"}) write_file(folder / name, {});
  EXPECT_EQ(list_directory(folder.path()), (std::vector<std::string>{".hidden", "a", "b", "ж"}));
  EXPECT_TRUE(list_directory(folder / "missing").empty());
  EXPECT_TRUE(code_of([&] { list_directory(folder / "a"); })) << "not a folder";
}

TEST(FileSystem, SyncsAndCounts) {
  const TempFolder folder;
  File file = File::create_new(folder / "a");
  file.write_at(0, Bytes(100'000));
  file.start_writeback(0, 100'000);
  sync_file_system(folder.path());
  file.check_writeback();
  sync_directory(folder.path());
  EXPECT_GT(free_space(folder.path()), 0u);
  EXPECT_TRUE(code_of([&] { free_space(folder / "missing"); }));
  EXPECT_TRUE(code_of([&] { sync_file_system(folder / "missing"); }));
}

// ---- Locks.
TEST(Lock, OneWriterOrManyReaders) {
  const TempFolder folder;
  File a = File::create_new(folder / "a");
  auto b = File::open_for_reading(folder / "a");
  EXPECT_TRUE(a.try_lock(File::Lock::kShared));
  EXPECT_TRUE(b->try_lock(File::Lock::kShared));
  EXPECT_FALSE(a.try_lock(File::Lock::kExclusive));
  b->unlock();
  EXPECT_TRUE(a.try_lock(File::Lock::kExclusive));
  EXPECT_FALSE(b->try_lock(File::Lock::kShared));
  EXPECT_FALSE(b->try_lock(File::Lock::kExclusive));
}

TEST(Lock, EndsWithItsFile) {
  const TempFolder folder;
  std::optional<File> a = File::create_new(folder / "a");
  auto b = File::open_for_reading(folder / "a");
  EXPECT_TRUE(a->try_lock(File::Lock::kExclusive));
  File moved = std::move(*a);
  a.reset();
  EXPECT_FALSE(b->try_lock(File::Lock::kShared)) << "moved, not closed";
  { const File closed = std::move(moved); }
  EXPECT_TRUE(b->try_lock(File::Lock::kExclusive));
}

TEST(Lock, WaitsNoLongerThanAsked) {
  const TempFolder folder;
  File a = File::create_new(folder / "a");
  auto b = File::open_for_reading(folder / "a");
  a.lock(File::Lock::kExclusive, 0);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(code_of([&] { b->lock(File::Lock::kShared, 60); }), Errc::kBusy);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(60));
}

TEST(Lock, IsHadOnceTheOtherLetsGo) {
  const TempFolder folder;
  File a = File::create_new(folder / "a");
  auto b = File::open_for_reading(folder / "a");
  a.lock(File::Lock::kExclusive, 0);
  std::atomic<bool> released = false;
  std::thread waiting([&] {
    b->lock(File::Lock::kExclusive, 30'000);
    EXPECT_TRUE(released);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));  // so that the other is likely to be waiting
  released = true;
  a.unlock();
  waiting.join();
}

}  // namespace
}  // namespace casevault
