#include <gtest/gtest.h>

#include "tests/support/test_vault.h"
#include "vault/access/case_access.h"
#include "vault/access/case_keys.h"
#include "vault/access/handover.h"
#include "vault/access/session_keys.h"
#include "vault/audit/report.h"
#include "vault/records/intake.h"
#include "vault/records/reading.h"
#include "vault/storage/catalog.h"
#include "vault/verify.h"

namespace casevault::test {
namespace {

const auto kYes = [](const JoinRequest&) { return true; };

Added add_words(Session& session, std::int64_t case_number, const std::string& words) {
  return add_testimony(session, case_number, as_bytes(words), "words.txt",
                       {"Witness A", "ru", "2026-11-01", "Minsk", "yes"}, {});
}

TEST(VaultUsers, FounderUnlocksAndIsOwner) {
  const TestVault vault;
  const auto session = vault.unlock("anna");
  EXPECT_EQ(session.role(), Role::kOwner);
  EXPECT_EQ(session.state().organisation(), "Legal Aid");
  EXPECT_TRUE(session.warnings().empty());
}

TEST(VaultUsers, WrongPassphraseAndWrongUserLookAlike) {
  const TestVault vault;
  EXPECT_EQ(code_of([&] { vault.open().unlock("anna", passphrase_of("boris")); }), Errc::kWrongPassphrase);
  EXPECT_EQ(code_of([&] { vault.open().unlock("boris", passphrase_of("boris")); }), Errc::kWrongPassphrase);
}

TEST(VaultUsers, FailedUnlockIsInTheAuditLog) {
  const TestVault vault;
  EXPECT_EQ(code_of([&] { vault.open().unlock("mallory", passphrase_of("x")); }), Errc::kWrongPassphrase);
  auto anna = vault.unlock("anna");
  const auto entries = show_audit(anna, {});
  const auto failed = std::ranges::find_if(entries, [](const AuditEntry& e) { return e.outcome == "failed"; });
  ASSERT_NE(failed, entries.end());
  EXPECT_EQ(failed->objects, "mallory");
  EXPECT_EQ(failed->user, "");
}

TEST(VaultUsers, SecondInitIsRefusedAndChangesNothing) {
  const TestVault vault;
  EXPECT_EQ(code_of([&] {
              Vault::create(vault.path(), {"Other", "eve"}, passphrase_of("eve"), test_environment());
            }),
            Errc::kUsage);
  EXPECT_EQ(vault.unlock("anna").state().organisation(), "Legal Aid");
  EXPECT_EQ(vault.folder().names(), std::vector<std::string>{"office.vault"});
}

TEST(VaultUsers, JoinerWaitsUntilApproved) {
  const TestVault vault;
  const auto fingerprint = vault.open().request_to_join("boris", passphrase_of("boris"));
  EXPECT_EQ(code_of([&] { vault.unlock("boris"); }), Errc::kNotAllowed);
  auto anna = vault.unlock("anna");
  ASSERT_EQ(pending_requests(anna).size(), 1u);
  EXPECT_EQ(pending_requests(anna).front().fingerprint, fingerprint);
  EXPECT_FALSE(approve_user(anna, "boris", Role::kMember, [](const JoinRequest&) { return false; }));
  EXPECT_TRUE(approve_user(anna, "boris", Role::kMember, kYes));
  EXPECT_TRUE(pending_requests(anna).empty());
}

TEST(VaultUsers, ApprovedJoinerUnlocksAgainAndAgain) {
  const TestVault vault;
  vault.add_user("boris");
  EXPECT_EQ(vault.unlock("boris").role(), Role::kMember);
  const auto boris = vault.unlock("boris");
  EXPECT_TRUE(boris.warnings().empty());
}

TEST(VaultUsers, OnlyOwnersApproveAndTheRefusalIsLogged) {
  const TestVault vault;
  vault.add_user("boris");
  vault.open().request_to_join("clara", passphrase_of("clara"));
  auto boris = vault.unlock("boris");
  EXPECT_EQ(code_of([&] { approve_user(boris, "clara", Role::kMember, kYes); }), Errc::kNotAllowed);
  auto anna = vault.unlock("anna");
  const auto refused = show_audit(anna, {.since_ms = {}, .user = "boris", .case_number = 0, .action = "user-approve"});
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused.front().outcome, "refused");
}

TEST(VaultUsers, TwoRequestsOfOneNameAreRefused) {
  const TestVault vault;
  vault.open().request_to_join("boris", passphrase_of("boris"));
  vault.open().request_to_join("boris", passphrase_of("pretender"));
  auto anna = vault.unlock("anna");
  EXPECT_EQ(code_of([&] { approve_user(anna, "boris", Role::kMember, kYes); }), Errc::kUsage);
}

TEST(VaultUsers, MembersDoNotReadTheAuditLogAuditorsDo) {
  const TestVault vault;
  vault.add_user("boris");
  vault.add_user("vera", Role::kAuditor);
  auto boris = vault.unlock("boris");
  EXPECT_EQ(code_of([&] { show_audit(boris, {}); }), Errc::kNotAllowed);
  auto vera = vault.unlock("vera");
  EXPECT_FALSE(show_audit(vera, {}).empty());
  EXPECT_EQ(code_of([&] { new_case(vera, "Case"); }), Errc::kNotAllowed);
}

TEST(VaultUsers, NewPassphraseOpensAndTheOldOneDoesNot) {
  const TestVault vault;
  {
    auto anna = vault.unlock("anna");
    change_passphrase(anna, passphrase_of("new anna"));
  }
  EXPECT_EQ(code_of([&] { vault.unlock("anna"); }), Errc::kWrongPassphrase);
  const auto anna = vault.open().unlock("anna", passphrase_of("new anna"));
  EXPECT_EQ(anna.role(), Role::kOwner);
}

TEST(VaultUsers, OlderSlotsFilePutBackIsNoticed) {
  const TestVault vault;
  const auto old = read_small_file(vault.path() / "slots", 65536);
  {
    auto anna = vault.unlock("anna");
    change_passphrase(anna, passphrase_of("new anna"));
  }
  write_file(vault.path() / "slots", *old);
  EXPECT_EQ(code_of([&] { vault.unlock("anna"); }), Errc::kWrongPassphrase);
}

TEST(VaultUsers, RemovedMemberIsOutAndCasesAreRekeyed) {
  const TestVault vault;
  vault.add_user("boris");
  auto anna = vault.unlock("anna");
  const auto number = new_case(anna, "Case one");
  grant_case(anna, number, "boris", Right::kRead);
  add_words(anna, number, "before");
  {
    auto boris = vault.unlock("boris");
    EXPECT_EQ(list_records(boris, number).size(), 1u);
    read_content(boris, {number, RecordId{RecordKind::kTestimony, 1}}, {}, {}, [](ByteView) {});
  }
  const auto report = remove_user(anna, "boris");
  EXPECT_EQ(report.rotated, std::vector<std::int64_t>{number});
  ASSERT_EQ(report.opened.size(), 1u);
  EXPECT_EQ(report.opened.front().case_number, number);
  EXPECT_EQ(code_of([&] { vault.unlock("boris"); }), Errc::kWrongPassphrase);
  auto again = vault.unlock("anna");
  EXPECT_EQ(list_records(again, number).size(), 1u);
  EXPECT_TRUE(verify_vault(again, false, {}).clean());
}

/// What an old member keeps: everything in memory before the removal, and every file after it.
TEST(VaultUsers, RemovedMembersKeysOpenNothingWrittenSince) {
  const TestVault vault;
  vault.add_user("boris");
  auto anna = vault.unlock("anna");
  const auto number = new_case(anna, "Case one");
  grant_case(anna, number, "boris", Right::kManage);
  auto boris = vault.unlock("boris");
  const auto& entry = *boris.state().find_case(number);
  const auto case_key = open_case_key(boris, *boris.state().grant_of(entry, boris.user_id()), "C-1");
  const auto id = entry.id;
  const auto catalog_key = boris.keys().catalog_key.clone();
  const auto header = boris.keys().header;
  const Identity kept{boris.user_id(), SigningKey::from_seed(boris.identity().signing.seed().clone()),
                      BoxKeyPair::from_secret(boris.identity().box.secret_key.clone())};
  { const auto gone = std::move(boris); }

  remove_user(anna, "boris");
  add_words(anna, number, "after");
  EXPECT_FALSE(Catalog::is_keyed_by(vault.path() / "catalog.db", catalog_key, 1, header.vault_id));
  EXPECT_EQ(
      code_of([&] { Catalog::open(vault.path() / "catalog.db", catalog_key, 2, header.vault_id, header.root_key); }),
      Errc::kDamaged);
  const auto now = anna.state().find_case(number)->epoch;
  const auto key = case_database_key(case_key, id, now, std::nullopt);
  EXPECT_EQ(code_of([&] { CaseStore::open(case_path(vault.path(), id, now), key, id); }), Errc::kDamaged);
  EXPECT_FALSE(std::filesystem::exists(case_path(vault.path(), id, now - 1)));
  for (const auto epoch : handover_epochs(vault.path())) {
    const auto file = read_small_file(handover_path(vault.path(), epoch), kHandoverFileSize);
    EXPECT_FALSE(find_handover(header.vault_id, *file, kept).has_value());
  }
}

TEST(VaultUsers, OthersPickUpTheNewCatalogueKey) {
  const TestVault vault;
  vault.add_user("boris");
  vault.add_user("clara");
  {
    auto anna = vault.unlock("anna");
    remove_user(anna, "boris");
  }
  EXPECT_TRUE(vault.unlock("clara").warnings().empty());
  EXPECT_EQ(vault.unlock("clara").state().epoch(), 2u);
}

TEST(VaultUsers, MissingTwoRotationsIsNoHarm) {
  const TestVault vault;
  vault.add_user("boris");
  vault.add_user("clara");
  vault.add_user("dina");
  auto anna = vault.unlock("anna");
  remove_user(anna, "boris");
  remove_user(anna, "dina");
  EXPECT_EQ(vault.unlock("clara").state().epoch(), 3u);
}

TEST(VaultUsers, RemovedAuditorCannotReadNewEntries) {
  const TestVault vault;
  vault.add_user("vera", Role::kAuditor);
  auto anna = vault.unlock("anna");
  const auto before = vault.open().header().audit_key;
  remove_user(anna, "vera");
  EXPECT_NE(vault.open().header().audit_key, before);
  EXPECT_FALSE(show_audit(anna, {}).empty());
  auto again = vault.unlock("anna");
  EXPECT_TRUE(verify_audit(again).findings.empty());
}

TEST(VaultUsers, CaseTheOwnerCannotOpenIsRekeyedByTheNextWriter) {
  const TestVault vault;
  vault.add_user("boris");
  vault.add_user("clara");
  {
    auto clara = vault.unlock("clara");
    new_case(clara, "Clara's");
    grant_case(clara, 1, "boris", Right::kAdd);
    auto anna = vault.unlock("anna");
    { const auto closed = std::move(clara); }
    const auto report = remove_user(anna, "boris");
    EXPECT_EQ(report.to_be_rotated, std::vector<std::int64_t>{1});
  }
  auto clara = vault.unlock("clara");
  add_words(clara, 1, "after");
  EXPECT_EQ(clara.state().find_case(1)->epoch, 2u);
  EXPECT_FALSE(clara.state().needs_rotation(*clara.state().find_case(1)));
}

TEST(VaultCases, WithoutAGrantACaseIsNotThere) {
  const TestVault vault;
  vault.add_user("boris");
  {
    auto anna = vault.unlock("anna");
    new_case(anna, "Secret title");
  }
  auto boris = vault.unlock("boris");
  EXPECT_TRUE(list_cases(boris).empty());
  EXPECT_EQ(code_of([&] { show_case(boris, 1); }), Errc::kNotFound);
  EXPECT_EQ(code_of([&] { list_records(boris, 1); }), Errc::kNotFound);
}

struct RightRow {
  Right right;
  bool may_read, may_add, may_manage;
};
class VaultRights : public testing::TestWithParam<RightRow> {};

TEST_P(VaultRights, CoverExactlyTheirActions) {
  const TestVault vault;
  vault.add_user("boris");
  {
    auto anna = vault.unlock("anna");
    new_case(anna, "One");
    grant_case(anna, 1, "boris", GetParam().right);
  }
  auto boris = vault.unlock("boris");
  const auto allowed = [](const auto& action) {
    try {
      action();
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::kNotAllowed);
      return false;
    }
  };
  EXPECT_EQ(allowed([&] { list_records(boris, 1); }), GetParam().may_read);
  EXPECT_EQ(allowed([&] { add_words(boris, 1, "words"); }), GetParam().may_add);
  EXPECT_EQ(allowed([&] { grant_case(boris, 1, "anna", Right::kManage); }), GetParam().may_manage);
}
INSTANTIATE_TEST_SUITE_P(All, VaultRights,
                         testing::Values(RightRow{Right::kRead, true, false, false},
                                         RightRow{Right::kAdd, true, true, false},
                                         RightRow{Right::kManage, true, true, true}),
                         [](const auto& row) { return std::string(to_string(row.param.right)); });

TEST(VaultCases, RevokedUserLosesTheCaseAndOthersKeepIt) {
  const TestVault vault;
  vault.add_user("boris");
  vault.add_user("clara");
  auto anna = vault.unlock("anna");
  new_case(anna, "One");
  grant_case(anna, 1, "boris", Right::kAdd);
  grant_case(anna, 1, "clara", Right::kRead);
  add_words(anna, 1, "words");
  revoke_case(anna, 1, "boris");
  auto boris = vault.unlock("boris");
  EXPECT_EQ(code_of([&] { list_records(boris, 1); }), Errc::kNotFound);
  auto clara = vault.unlock("clara");
  EXPECT_EQ(list_records(clara, 1).size(), 1u);
}

TEST(VaultCases, LastManagerStays) {
  const TestVault vault;
  vault.add_user("boris");
  auto anna = vault.unlock("anna");
  new_case(anna, "One");
  EXPECT_EQ(code_of([&] { grant_case(anna, 1, "anna", Right::kRead); }), Errc::kUsage);
  EXPECT_EQ(code_of([&] { revoke_case(anna, 1, "anna"); }), Errc::kUsage);
}

TEST(VaultCases, ClosedCaseTakesNothingMore) {
  const TestVault vault;
  auto anna = vault.unlock("anna");
  new_case(anna, "One");
  add_words(anna, 1, "words");
  close_case(anna, 1);
  EXPECT_EQ(code_of([&] { add_words(anna, 1, "more"); }), Errc::kNotAllowed);
  EXPECT_EQ(list_records(anna, 1).size(), 1u);
}

/// Somebody who may only read holds the case key and can write the database file. What they put in is not believed.
TEST(VaultCases, RecordAddedBehindTheBackByAReaderIsRefused) {
  const TestVault vault;
  vault.add_user("boris");
  {
    auto anna = vault.unlock("anna");
    new_case(anna, "One");
    grant_case(anna, 1, "boris", Right::kRead);
    add_words(anna, 1, "words");
  }
  {
    auto boris = vault.unlock("boris");
    auto open = open_case(boris, 1, Right::kRead, "show", "C-1");
    Transaction transaction(open.store.database());
    VersionDetails details{"forged.txt", "", "", {}, "text/plain", 3, sha256(as_bytes("abc")), 0, std::nullopt};
    open.store.add_version({{RecordKind::kEvidence, 1}, 1, details, ""}, bytes_of("abc"), case_stamp(boris, open));
    transaction.commit();
  }
  auto anna = vault.unlock("anna");
  EXPECT_EQ(code_of([&] { list_records(anna, 1); }), Errc::kDamaged);
  EXPECT_FALSE(verify_vault(anna, false, {}).clean());
}

/// Who may only add can write a withdrawal into the chain and even publish it. It hides nothing: it is called forged.
TEST(VaultCases, WithdrawalByOneWhoMayOnlyAddIsRefused) {
  const TestVault vault;
  vault.add_user("boris");
  {
    auto anna = vault.unlock("anna");
    new_case(anna, "One");
    grant_case(anna, 1, "boris", Right::kAdd);
    add_words(anna, 1, "words");
  }
  {
    auto boris = vault.unlock("boris");
    auto open = open_case(boris, 1, Right::kAdd, "add", "C-1");
    Transaction transaction(open.store.database());
    open.store.add_withdrawal({RecordKind::kTestimony, 1}, "no reason", case_stamp(boris, open));
    transaction.commit();
    publish_case_head(boris, open);
  }
  auto anna = vault.unlock("anna");
  EXPECT_EQ(code_of([&] { list_records(anna, 1); }), Errc::kDamaged);
  EXPECT_FALSE(verify_vault(anna, false, {}).clean());
}

}  // namespace
}  // namespace casevault::test
