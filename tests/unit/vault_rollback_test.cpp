#include <gtest/gtest.h>

#include "tests/support/test_vault.h"
#include "vault/access/case_keys.h"
#include "vault/audit/log.h"
#include "vault/audit/report.h"
#include "vault/records/intake.h"
#include "vault/records/reading.h"
#include "vault/storage/slots.h"
#include "vault/verify.h"

namespace casevault::test {
namespace {

void add_words(Session& session, const std::string& words) {
  add_testimony(session, 1, as_bytes(words), "words.txt", {"Witness A", "ru", "", "", "yes"}, {});
}

/// A vault with one case and one record; `step` then changes it, and single files of before are put back.
class Rollback {
 public:
  Rollback() {
    auto anna = vault.unlock("anna");
    new_case(anna, "One");
    add_words(anna, "before");
  }
  template <typename Step>
  void do_and_put_back(const std::string& file, const Step& step) {
    const auto before = read_file((vault.path() / file).native());
    {
      auto anna = vault.unlock("anna");
      step(anna);
    }
    write_file(vault.path() / file, before);
  }
  std::string case_file() {
    auto anna = vault.unlock("anna");
    const auto& entry = *anna.state().find_case(1);
    return "cases/" + case_path({}, entry.id, entry.epoch).filename().string();
  }
  TestVault vault;
};

TEST(VaultRollback, OlderCatalogueIsRefused) {
  Rollback rollback;
  rollback.do_and_put_back("catalog.db", [](Session& anna) { new_case(anna, "Two"); });
  EXPECT_EQ(code_of([&] { rollback.vault.unlock("anna"); }), Errc::kDamaged);
}

TEST(VaultRollback, OlderCaseDatabaseIsRefused) {
  Rollback rollback;
  rollback.do_and_put_back(rollback.case_file(), [](Session& anna) { add_words(anna, "after"); });
  auto anna = rollback.vault.unlock("anna");
  EXPECT_EQ(code_of([&] { list_records(anna, 1); }), Errc::kDamaged);
}

TEST(VaultRollback, OlderAuditLogIsReportedByEveryLaterUnlock) {
  Rollback rollback;
  rollback.do_and_put_back("audit/log", [](Session& anna) { list_records(anna, 1); });
  for (int i = 0; i < 2; ++i) {
    auto anna = rollback.vault.unlock("anna");
    EXPECT_EQ(anna.warnings().size(), 1u);
    EXPECT_FALSE(verify_vault(anna, false, {}).clean());
  }
}

TEST(VaultRollback, OlderHeaderAndHandoverArePutBack) {
  Rollback rollback;
  rollback.vault.add_user("vera", Role::kAuditor);
  const auto handover = read_file((rollback.vault.path() / "handover/1").native());
  rollback.do_and_put_back("vault.json", [](Session& anna) { remove_user(anna, "vera"); });
  write_file(rollback.vault.path() / "handover/2", handover);
  EXPECT_EQ(rollback.vault.unlock("anna").warnings().size(), 2u);
  EXPECT_TRUE(rollback.vault.unlock("anna").warnings().empty());
}

TEST(VaultRollback, WholeOlderCopyOpensButCannotHideFromTheLogOfTheNewerOne) {
  // Without a witness abroad nothing in the vault can tell; the threat model says so.
  Rollback rollback;
  std::filesystem::copy(rollback.vault.path(), rollback.vault.folder() / "copy",
                        std::filesystem::copy_options::recursive);
  {
    auto anna = rollback.vault.unlock("anna");
    add_words(anna, "after");
  }
  auto old = Vault::open(rollback.vault.folder() / "copy", test_environment()).unlock("anna", passphrase_of("anna"));
  EXPECT_TRUE(verify_vault(old, false, {}).clean());
}

class MissingFile : public testing::TestWithParam<std::string> {};

TEST_P(MissingFile, IsNamedAsDamage) {
  Rollback rollback;
  std::filesystem::remove(rollback.vault.path() / GetParam());
  EXPECT_EQ(code_of([&] { rollback.vault.unlock("anna"); }), Errc::kDamaged);
}
INSTANTIATE_TEST_SUITE_P(All, MissingFile, testing::Values("vault.json", "slots", "catalog.db", "audit/log"),
                         [](const auto& row) { return std::to_string(row.index); });

TEST(VaultRollback, MissingCaseDatabaseIsNamed) {
  Rollback rollback;
  std::filesystem::remove(rollback.vault.path() / rollback.case_file());
  auto anna = rollback.vault.unlock("anna");
  EXPECT_EQ(code_of([&] { list_records(anna, 1); }), Errc::kDamaged);
  EXPECT_FALSE(verify_vault(anna, false, {}).clean());
}

TEST(VaultAudit, TornTailIsDroppedAndTheLogGoesOn) {
  const TestVault vault;
  {
    std::ofstream log(vault.path() / "audit/log", std::ios::app | std::ios::binary);
    log << "a torn record";
  }
  auto anna = vault.unlock("anna");
  EXPECT_TRUE(anna.warnings().empty());
  EXPECT_EQ(std::filesystem::file_size(vault.path() / "audit/log") % kAuditRecordSize, 0u);
  EXPECT_TRUE(verify_audit(anna).findings.empty());
}

TEST(VaultAudit, EveryByteOfARecordCounts) {
  const TestVault vault;
  { const auto anna = vault.unlock("anna"); }
  for (const std::uint64_t offset : {0u, 3u, 4u, 83u, 84u, 163u, 164u, 511u}) {
    flip_byte(vault.path() / "audit/log", offset);
    {
      auto anna = vault.unlock("anna");
      EXPECT_EQ(anna.warnings().size(), 1u) << offset;
      EXPECT_FALSE(verify_audit(anna).findings.empty()) << offset;
    }
    flip_byte(vault.path() / "audit/log", offset);
  }
  EXPECT_TRUE(vault.unlock("anna").warnings().empty());
}

TEST(VaultAudit, LongObjectListsBecomeSeveralEntries) {
  const TestVault vault;
  auto anna = vault.unlock("anna");
  std::string objects = "C-1/E-1";
  for (int i = 2; i <= 100; ++i) objects += ", C-1/E-" + std::to_string(i);
  anna.record("cat", objects);
  std::string joined;
  for (const auto& entry : show_audit(anna, {.since_ms = {}, .user = {}, .case_number = 0, .action = "cat"})) {
    joined += (joined.empty() ? "" : ", ") + entry.objects;
  }
  EXPECT_EQ(joined, objects);
}

TEST(VaultAudit, TwoSessionsInterleave) {
  const TestVault vault;
  auto first = vault.unlock("anna");
  new_case(first, "One");
  auto second = vault.unlock("anna");
  for (int i = 0; i < 20; ++i) (i % 2 == 0 ? first : second).record("list", "C-1");
  auto third = vault.unlock("anna");
  EXPECT_TRUE(third.warnings().empty());
  EXPECT_TRUE(verify_audit(third).findings.empty());
  EXPECT_EQ(show_audit(third, {.since_ms = {}, .user = {}, .case_number = 1, .action = "list"}).size(), 20u);
}

TEST(VaultAudit, EntriesAreUnreadableWithoutTheAuditKey) {
  const TestVault vault;
  auto anna = vault.unlock("anna");
  anna.record("list", "C-77/E-99");
  const auto log = read_file((vault.path() / "audit/log").native());
  EXPECT_EQ(as_text(log).find("C-77"), std::string_view::npos);
  std::size_t entries = 0;
  anna.log().read_all({}, anna.state(), [&](std::uint64_t, const std::optional<OpenedEntry>& entry) {
    ++entries;
    EXPECT_FALSE(entry.has_value());
  });
  EXPECT_EQ(entries, anna.log().head().size);
}

TEST(VaultAudit, NothingIsShownWhenTheLogCannotBeWritten) {
  Rollback rollback;
  auto anna = rollback.vault.unlock("anna");
  const FileSizeLimit limit(std::filesystem::file_size(rollback.vault.path() / "audit/log"));
  bool shown = false;
  EXPECT_EQ(code_of([&] {
              read_content(anna, {1, RecordId{RecordKind::kTestimony, 1}}, {}, {}, [&](ByteView) { shown = true; });
            }),
            Errc::kAuditUnavailable);
  EXPECT_FALSE(shown);
}

/// A shortened log must not lead to statements that nobody would believe later.
TEST(VaultRollback, CutLogTakesNothingNewAndLosesNothing) {
  Rollback rollback;
  const auto log = rollback.vault.path() / "audit/log";
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 6 * kAuditRecordSize);
  {
    auto anna = rollback.vault.unlock("anna");
    EXPECT_EQ(code_of([&] { add_words(anna, "after"); }), Errc::kDamaged);
  }
  for (int i = 0; i < 6; ++i) rollback.vault.unlock("anna");
  auto anna = rollback.vault.unlock("anna");
  EXPECT_EQ(list_records(anna, 1).size(), 1u);
}

/// Catalogue and log of before, the case's database of after: the newer file is the only one that holds the case.
TEST(VaultRollback, NewerCaseDatabaseIsNotTakenForALeftover) {
  Rollback rollback;
  const auto log = read_file((rollback.vault.path() / "audit/log").native());
  rollback.do_and_put_back("catalog.db", [](Session& anna) {
    add_words(anna, "to be withdrawn");
    withdraw_record(anna, {1, RecordId{RecordKind::kTestimony, 2}}, "consent withdrawn");
  });
  write_file(rollback.vault.path() / "audit/log", log);
  { const auto anna = rollback.vault.unlock("anna"); }
  EXPECT_FALSE(std::filesystem::is_empty(rollback.vault.path() / "cases"));
}

TEST(VaultSlots, CopyOfASlotInAnotherPlaceLocksNobodyOutAndIsErased) {
  const TestVault vault;
  const auto find = [&] {
    const auto anna = vault.unlock("anna");
    return anna.state().find_user("anna")->slot;
  };
  const auto slot = find();
  auto slots = read_file((vault.path() / "slots").native());
  const auto copy = std::vector(slots.begin() + static_cast<std::ptrdiff_t>(slot * kSlotSize),
                                slots.begin() + static_cast<std::ptrdiff_t>((slot + 1) * kSlotSize));
  const auto other = slot == 0 ? 1 : slot - 1;
  std::ranges::copy(copy, slots.begin() + static_cast<std::ptrdiff_t>(other * kSlotSize));
  write_file(vault.path() / "slots", slots);
  { const auto anna = vault.unlock("anna"); }
  EXPECT_NE(Slots::open(vault.path() / "slots").hash(other), sha256(copy));
}

TEST(VaultSlots, FormerSlotLeftByACrashIsErasedAtTheNextUnlock) {
  const TestVault vault;
  const auto before = read_file((vault.path() / "slots").native());
  std::size_t old_slot = 0;
  {
    auto anna = vault.unlock("anna");
    old_slot = anna.state().find_user("anna")->slot;
    change_passphrase(anna, passphrase_of("new anna"));
  }
  auto slots = read_file((vault.path() / "slots").native());
  std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(old_slot * kSlotSize), kSlotSize,
              slots.begin() + static_cast<std::ptrdiff_t>(old_slot * kSlotSize));
  write_file(vault.path() / "slots", slots);
  { const auto anna = vault.open().unlock("anna", passphrase_of("new anna")); }
  EXPECT_EQ(code_of([&] { vault.unlock("anna"); }), Errc::kWrongPassphrase);
  const auto after = read_file((vault.path() / "slots").native());
  EXPECT_FALSE(std::equal(after.begin() + static_cast<std::ptrdiff_t>(old_slot * kSlotSize),
                          after.begin() + static_cast<std::ptrdiff_t>((old_slot + 1) * kSlotSize),
                          before.begin() + static_cast<std::ptrdiff_t>(old_slot * kSlotSize)));
}

}  // namespace
}  // namespace casevault::test
