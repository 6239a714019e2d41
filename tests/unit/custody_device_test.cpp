#include "vault/custody/device.h"

#include <sys/stat.h>

#include "tests/support/test_vault.h"
#include "vault/custody/condemned.h"

namespace casevault {
namespace {

namespace fs = std::filesystem;

class DeviceTest : public testing::Test {
 protected:
  DeviceTest() { environment.state_folder = folder / "home" / ".local" / "state"; }
  Path file() const { return device_file(environment, vault); }
  Errc code_of(const std::function<void()>& run) {
    try {
      run();
    } catch (const Error& error) {
      return error.code();
    }
    return Errc::kInternal;
  }
  mode_t mode(const Path& path) {
    struct stat status = {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
  }

  test::TempFolder folder;
  Environment environment = test::test_environment();
  VaultId vault = test::hex_array<16>("00112233445566778899aabbccddeeff");
};

TEST_F(DeviceTest, IsMadeOnceAndFoundAgain) {
  EXPECT_FALSE(load_device(environment, vault));
  const auto made = create_device(environment, vault, "Büro 2");
  EXPECT_EQ(file(), folder / "home" / ".local" / "state" / "casevault" / "00112233445566778899aabbccddeeff" / "device");
  const auto found = load_device(environment, vault);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "Büro 2");
  EXPECT_EQ(found->key.verify_key(), made.key.verify_key());
  EXPECT_FALSE(load_device(environment, {})) << "another vault";
  EXPECT_EQ(code_of([&] { create_device(environment, vault, "again"); }), Errc::kUsage);
  EXPECT_EQ(load_device(environment, vault)->key.verify_key(), made.key.verify_key());
  EXPECT_EQ(std::distance(fs::directory_iterator(file().parent_path()), {}), 1) << "nothing left over";
}

TEST_F(DeviceTest, IsMadeWhereThereIsNone) {
  const auto made = ensure_device(environment, vault);
  EXPECT_EQ(made.name, environment.device);
  EXPECT_EQ(ensure_device(environment, vault, "another").key.verify_key(), made.key.verify_key());
  environment.device = "a\nb";
  EXPECT_EQ(ensure_device(environment, {}).name, "machine");
}

TEST_F(DeviceTest, IsForItsOwnerOnly) {
  create_device(environment, vault, "office");
  EXPECT_EQ(mode(file()), 0600u);
  for (auto path = file().parent_path(); path != folder.path(); path = path.parent_path()) {
    EXPECT_EQ(mode(path), 0700u) << path;
  }
}

TEST_F(DeviceTest, HasOneFormOnly) {
  create_device(environment, vault, "office");
  const auto good = test::read_file(file());
  ASSERT_EQ(good.size(), 4u + 16 + 32 + 6);
  EXPECT_EQ(as_text(good).substr(0, 4), "CVM1");
  const auto is_refused = [&](const Bytes& content) {
    replace_file(file(), content);
    return code_of([&] { load_device(environment, vault); }) == Errc::kDamaged;
  };
  for (std::size_t size = 0; size <= 52; ++size) EXPECT_TRUE(is_refused({good.begin(), good.begin() + size})) << size;
  for (std::size_t at = 0; at < 20; ++at) {
    auto changed = good;
    changed[at] ^= std::byte{1};
    EXPECT_TRUE(is_refused(changed)) << at;
  }
  for (const auto* name : {"\n", "a\n", "a/b", "\xff", " a"}) {
    EXPECT_TRUE(is_refused(concat({ByteView(good).first(52), as_bytes(name)}))) << name;
  }
  auto longer = good;
  longer.resize(52 + 65, std::byte{'a'});
  EXPECT_TRUE(is_refused(longer));
  replace_file(file(), good);
  EXPECT_EQ(load_device(environment, vault)->name, "office");
}

TEST_F(DeviceTest, IsRemoved) {
  EXPECT_FALSE(remove_device(environment, vault));
  const auto first = create_device(environment, vault, "office").key.verify_key();
  EXPECT_TRUE(remove_device(environment, vault));
  EXPECT_FALSE(load_device(environment, vault));
  EXPECT_NE(create_device(environment, vault, "office").key.verify_key(), first);
}

TEST_F(DeviceTest, RemovingOverwritesInPlace) {
  create_device(environment, vault, "office");
  fs::create_hard_link(file(), folder / "link");
  EXPECT_TRUE(remove_device(environment, vault));
  EXPECT_EQ(test::read_file(folder / "link"), Bytes(58));
}

TEST_F(DeviceTest, LinksAreNotFollowed) {
  create_device(environment, vault, "office");
  fs::rename(file(), folder / "elsewhere");
  fs::create_symlink(folder / "elsewhere", file());
  EXPECT_EQ(code_of([&] { load_device(environment, vault); }), Errc::kUsage);
}

TEST_F(DeviceTest, NeedsANameAndAPlace) {
  EXPECT_EQ(code_of([&] { create_device(environment, vault, ""); }), Errc::kUsage);
  EXPECT_EQ(code_of([&] { create_device(environment, vault, "a\nb"); }), Errc::kUsage);
  environment.state_folder.clear();
  EXPECT_EQ(code_of([&] { create_device(environment, vault, "office"); }), Errc::kUsage);
}

TEST_F(DeviceTest, IsCondemnedByANoteBesideIt) {
  condemn_device(environment, vault);
  EXPECT_FALSE(fs::exists(file().parent_path())) << "nothing to condemn";
  create_device(environment, vault, "office");
  EXPECT_FALSE(is_device_condemned(environment, vault));
  condemn_device(environment, vault);
  condemn_device(environment, vault);
  EXPECT_TRUE(is_device_condemned(environment, vault));
  EXPECT_FALSE(is_device_condemned(environment, {}));
  EXPECT_TRUE(load_device(environment, vault)) << "it is still needed";
  EXPECT_TRUE(remove_condemned_device(environment, vault));
  EXPECT_FALSE(is_device_condemned(environment, vault));
  EXPECT_TRUE(fs::is_empty(file().parent_path()));
  EXPECT_FALSE(remove_condemned_device(environment, vault));
  EXPECT_FALSE(remove_condemned_device(test::test_environment(), vault)) << "no state folder";
}

}  // namespace
}  // namespace casevault
