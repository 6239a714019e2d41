#include "vault/access/identity.h"

#include <set>

#include "crypto/encoding.h"
#include "crypto/random.h"
#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

TEST(Role, WordsAndBack) {
  for (const Role role : {Role::kOwner, Role::kMember, Role::kAuditor}) EXPECT_EQ(parse_role(to_string(role)), role);
  EXPECT_EQ(to_string(Role::kAuditor), "auditor");
  for (const char* word : {"", "Owner", "owners", "read"}) EXPECT_FALSE(parse_role(word)) << word;
}

TEST(Right, WordsAndBack) {
  for (const Right right : {Right::kRead, Right::kAdd, Right::kManage}) EXPECT_EQ(parse_right(to_string(right)), right);
  EXPECT_EQ(to_string(Right::kManage), "manage");
  for (const char* word : {"", "READ", "write", "owner"}) EXPECT_FALSE(parse_right(word)) << word;
}

TEST(Identity, PublicHalfBelongsToIt) {
  const Identity identity = Identity::random();
  const UserKeys keys = public_half(identity, "anna");
  EXPECT_EQ(keys.name, "anna");
  EXPECT_EQ(keys.id, identity.id);
  EXPECT_TRUE(verify(keys.sign, "test", as_bytes("text"), identity.signing.sign("test", as_bytes("text"))));
  EXPECT_TRUE(open_sealed(identity.box, seal_to(keys.box, as_bytes("text"))));
  EXPECT_NE(identity.id, Identity::random().id);
}

UserKeys some_keys() {
  UserKeys keys;
  keys.id.fill(std::byte{1});
  keys.name = "anna";
  keys.sign.bytes.fill(std::byte{2});
  keys.box.bytes.fill(std::byte{3});
  return keys;
}

TEST(Fingerprint, IsEightWordsAndNeverChanges) {
  const VaultId vault{};
  EXPECT_EQ(fingerprint(vault, some_keys()), fingerprint(vault, some_keys()));
  const auto bytes = from_proquints(fingerprint(vault, some_keys()));
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size(), 16u);
  EXPECT_EQ(fingerprint(vault, some_keys()).size(), 8u * 5 + 7);
}

TEST(Fingerprint, DependsOnEverything) {
  const VaultId vault{};
  VaultId other_vault{};
  other_vault[15] = std::byte{1};
  std::vector<UserKeys> all(5, some_keys());
  all[1].id[0] ^= std::byte{1};
  all[2].name = "anne";
  all[3].sign.bytes[31] ^= std::byte{1};
  all[4].box.bytes[31] ^= std::byte{1};
  std::set<std::string> seen{fingerprint(other_vault, some_keys()), fingerprint(vault, VerifyKey{}),
                             fingerprint(other_vault, VerifyKey{})};
  for (const UserKeys& keys : all) seen.insert(fingerprint(vault, keys));
  EXPECT_EQ(seen.size(), 3u + all.size());
}

struct NameRow {
  const char* name;
  std::string user;
  bool ok;
};
void PrintTo(const NameRow& row, std::ostream* out) { *out << row.name; }

class UserName : public testing::TestWithParam<NameRow> {};
TEST_P(UserName, IsValidOrNot) { EXPECT_EQ(is_valid_user_name(GetParam().user), GetParam().ok); }

INSTANTIATE_TEST_SUITE_P(
    Table, UserName,
    testing::Values(NameRow{"plain", "anna", true}, NameRow{"one_letter", "a", true},
                    NameRow{"cyrillic", "Анна Ёлкина", true}, NameRow{"inner_space_and_signs", "anna b. o'c-d@e", true},
                    NameRow{"longest", std::string(64, 'a'), true},
                    NameRow{"longest_cyrillic", "ааааааааааааааааааааааааааааааaa", true}, NameRow{"empty", "", false},
                    NameRow{"too_long", std::string(65, 'a'), false}, NameRow{"not_utf8", "ann\xff", false},
                    NameRow{"nul", std::string("a\0b", 3), false}, NameRow{"new_line", "anna\n", false},
                    NameRow{"escape", "\x1b[0m", false}, NameRow{"override", "a\u202e", false},
                    NameRow{"zero_width", "an\u200bna", false}, NameRow{"slash", "a/b", false},
                    NameRow{"backslash", "a\\b", false}, NameRow{"dot", ".", false}, NameRow{"dot_dot", "..", false},
                    NameRow{"leading_space", " anna", false}, NameRow{"trailing_space", "anna ", false},
                    NameRow{"only_space", " ", false}, NameRow{"trailing_no_break_space", "anna\u00a0", false},
                    NameRow{"leading_ideographic_space", "\u3000anna", false}),
    test::row_name<NameRow>);

}  // namespace
}  // namespace casevault
