#include "vault/records/walk.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

using test::bytes_of;
using test::code_of;
using test::error_of;
using test::TempFolder;
using test::write_file;

class Walk : public testing::Test {
 protected:
  SourceList walk(const std::vector<Path>& paths) const { return SourceList::walk(paths, vault); }
  static std::vector<std::string> names(const SourceList& list) {
    std::vector<std::string> out;
    for (const auto& file : list.files()) out.push_back(file.name);
    return out;
  }
  static std::string why(const SourceList& list, const std::string& name) {
    for (const auto& file : list.skipped()) {
      if (file.name == name) return file.why;
    }
    return "";
  }
  void write(const std::string& path, std::string_view content = "x") const {
    std::filesystem::create_directories((folder / path).parent_path());
    write_file(folder / path, as_bytes(content));
  }

  TempFolder folder;
  Path vault = folder / "office.vault";
};

using Names = std::vector<std::string>;

TEST_F(Walk, NamesFilesAndFolders) {
  write("a/z.txt");
  write("a/b/c.txt", "four");
  write("a/B.txt");
  write("single.txt");
  const auto list = walk({folder / "single.txt", folder / "a"});
  EXPECT_EQ(names(list), (Names{"single.txt", "a/B.txt", "a/b/c.txt", "a/z.txt"}));
  EXPECT_EQ(list.total_bytes(), 7u);
  EXPECT_TRUE(list.skipped().empty());
}

TEST_F(Walk, NamesWhatStandsAtTheEndOfAPath) {
  write("a/b/c.txt");
  EXPECT_EQ(names(walk({folder / "a/b/"})), Names{"b/c.txt"});
  EXPECT_EQ(names(walk({folder / "a/b/."})), Names{"b/c.txt"});
  EXPECT_EQ(names(walk({folder / "a/b/.."})), Names{"a/b/c.txt"});
}

TEST_F(Walk, MissingPathsAreNamedTogether) {
  write("there");
  const auto error = error_of([&] { walk({folder / "no\n1", folder / "there", folder / "there/no2"}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::kUsage);
  EXPECT_NE(std::string(error->what()).find("no\\n1"), std::string::npos) << error->what();
  EXPECT_NE(std::string(error->what()).find("no2"), std::string::npos) << error->what();
}

TEST_F(Walk, SkipsWhatIsNoFile) {
  write("a/file");
  std::filesystem::create_symlink("file", folder / "a/link");
  std::filesystem::create_symlink("..", folder / "a/up");
  ASSERT_EQ(::mkfifo((folder / "a/pipe").c_str(), 0600), 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX};
  (folder / "a/socket").native().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(socket);
  const auto list = walk({folder / "a", "/dev/null"});
  EXPECT_EQ(names(list), Names{"a/file"});
  EXPECT_EQ(why(list, "a/link"), "it is a symbolic link");
  EXPECT_EQ(why(list, "a/up"), "it is a symbolic link");
  EXPECT_EQ(why(list, "a/pipe"), "it is a pipe");
  EXPECT_EQ(why(list, "a/socket"), "it is a socket");
  EXPECT_EQ(why(list, "/dev/null"), "it is a device");
}

TEST_F(Walk, FollowsALinkThatIsNamed) {
  write("a/file");
  std::filesystem::create_symlink(folder / "a", folder / "to-folder");
  std::filesystem::create_symlink(folder / "a/file", folder / "to-file");
  std::filesystem::create_symlink(folder / "nowhere", folder / "to-nothing");
  const auto list = walk({folder / "to-folder", folder / "to-file"});
  EXPECT_EQ(names(list), (Names{"to-folder/file", "to-file"}));
  SourceOpener opener(list);
  for (const auto& file : list.files()) EXPECT_TRUE(opener.open(file).is_open()) << file.name;
  EXPECT_EQ(code_of([&] { walk({folder / "to-nothing"}); }), Errc::kUsage);
}

TEST_F(Walk, LeavesTheVaultOut) {
  write("office.vault/slots");
  write("office.vault/bodies/x");
  write("file");
  const auto list = walk({folder.path(), vault, vault / "bodies", vault / "slots"});
  EXPECT_EQ(names(list), Names{folder.path().filename().native() + "/file"});
  EXPECT_EQ(list.skipped().size(), 4u);
}

TEST_F(Walk, KeepsTheBytesOfNamesThatAreNotUtf8) {
  write(
      "a/\xD0\xC0\xFF"
      "b");
  write("a/line\nbreak");
  const auto list = walk({folder / "a"});
  ASSERT_EQ(list.files().size(), 2u);
  EXPECT_EQ(list.files()[0].name, "a/line\nbreak");
  EXPECT_EQ(list.files()[0].name_bytes, "");
  EXPECT_EQ(list.files()[1].name, "a/\\xd0\\xc0\\xffb");
  EXPECT_EQ(list.files()[1].name_bytes,
            "a/\xD0\xC0\xFF"
            "b");
  EXPECT_EQ(to_utf8_name("a\xD0"), "a\\xd0");
  EXPECT_EQ(to_utf8_name("я\xF0\x9F\x98"), "я\\xf0\\x9f\\x98");
}

TEST_F(Walk, StopsAtADepth) {
  Path deep = "a";
  for (int i = 0; i < 250; ++i) deep /= "d";
  std::filesystem::create_directories(folder.path() / deep);
  write("a/file");
  const auto list = walk({folder / "a"});
  EXPECT_EQ(names(list), Names{"a/file"});
  ASSERT_EQ(list.skipped().size(), 1u);
  EXPECT_NE(list.skipped()[0].why.find("too deep"), std::string::npos);
}

TEST_F(Walk, SkipsFoldersItMayNotRead) {
  write("a/closed/file");
  write("a/open/file");
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(folder / "a/closed", std::filesystem::perms(0));
  EXPECT_TRUE(test::holds_in_child([&] {
    const auto list = walk({folder / "a"});
    EXPECT_EQ(names(list), Names{"a/open/file"});
    EXPECT_EQ(why(list, "a/closed"), "permission denied");
  }));
  std::filesystem::permissions(folder / "a/closed", std::filesystem::perms(0700));
}

TEST_F(Walk, OpensNothingThroughALinkPutThereLater) {
  write("a/b/file");
  write("elsewhere/file", "secret");
  const auto list = walk({folder / "a", folder / "a/b/file"});
  std::filesystem::rename(folder / "a/b", folder / "a/old");
  std::filesystem::create_symlink(folder / "elsewhere", folder / "a/b");
  SourceOpener opener(list);
  EXPECT_FALSE(opener.open(list.files()[0]).is_open());
  EXPECT_FALSE(opener.open(list.files()[1]).is_open());
}

TEST_F(Walk, OpensNoPipePutThereLater) {
  write("a/file");
  const auto list = walk({folder / "a", folder / "a/file"});
  std::filesystem::remove(folder / "a/file");
  ASSERT_EQ(::mkfifo((folder / "a/file").c_str(), 0600), 0);
  SourceOpener opener(list);
  for (const auto& file : list.files()) EXPECT_FALSE(opener.open(file).is_open());
}

}  // namespace
}  // namespace casevault
