#include "vault/replica/recovery.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crypto/random.h"
#include "tests/support/test_vault.h"
#include "tests/support/vectors.h"
#include "vault/access/case_access.h"
#include "vault/access/case_keys.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/replica/combine.h"
#include "vault/replica/sheet.h"
#include "vault/sharing/provenance.h"
#include "vault/storage/catalog.h"
#include "vault/verify.h"

namespace casevault {
namespace {

using test::TestVault;

const RecoveryObserver kSilent = [](const std::string&) {};

RenewResult renew(const TestVault& vault, Session& session, const char* name = "sheets") {
  return renew_recovery(session, {2, 3, vault.folder() / name}, kSilent);
}

std::vector<Slip39Share> shares_in(const Path& folder, std::initializer_list<int> numbers) {
  std::vector<Slip39Share> shares;
  for (const int number : numbers) {
    const auto file = test::read_file(folder / ("trustee-" + std::to_string(number) + ".txt"));
    shares.push_back(Slip39Share::parse(words_in_sheet(file)));
  }
  return shares;
}

Identity trustees_of(const TestVault& vault, Session& session, std::initializer_list<int> numbers) {
  const auto seed = combine_shares(shares_in(vault.folder() / "sheets", numbers));
  return recovery_identity(seed, session.state().vault(), session.keys().header.root_key);
}

std::string bad_findings(Session& session) {
  std::string text;
  for (const auto& finding : verify_vault(session, true, {}).findings) {
    if (finding.weight == Finding::Weight::kBad) text += finding.object + ": " + finding.meaning + "\n";
  }
  return text;
}

TEST(RecoveryIdentity, FollowsFromTheSeedAsTheFormatSays) {
  auto seed = RecoverySeed::zero();
  std::uint8_t next = 0;
  for (auto& byte : seed.expose_secret_for_writing()) byte = std::byte{next++};
  VaultId vault{};
  VerifyKey root;
  for (std::size_t i = 0; i < vault.size(); ++i) vault[i] = static_cast<std::byte>(i);
  for (std::size_t i = 0; i < root.bytes.size(); ++i) root.bytes[i] = static_cast<std::byte>(100 + i);
  const auto identity = recovery_identity(seed, vault, root);
  EXPECT_EQ(to_hex(identity.id), "f7c50f63fbba755a0911215b33065741");
  EXPECT_EQ(to_hex(identity.signing.verify_key().bytes),
            "4a007b9027adc48fd8355c077522fdb24ebd9c8899577a1b5b663418d969cc99");
  EXPECT_EQ(to_hex(identity.box.public_key.bytes), "ea9bb3af4034e0838cda6b4488017a2dc1e94163befcd48d1dfc53416cbaaf5a");
}

TEST(Recovery, SealedCasesOpenForTheTrustees) {
  const TestVault vault;
  auto session = vault.unlock("anna");
  new_case(session, "before");
  const auto renewed = renew(vault, session);
  new_case(session, "after");
  EXPECT_EQ(renewed.covered, std::vector<std::int64_t>{1});
  EXPECT_TRUE(renewed.waiting.empty());
  const auto trustees = trustees_of(vault, session, {1, 3});
  for (const auto& [number, entry] : session.state().cases()) {
    const auto secrets = open_case_secrets(trustees, session.catalog().blob(entry.recovery_key.value()), entry);
    EXPECT_TRUE(equal_constant_time(secrets.key, case_secrets(session, entry).key));
    EXPECT_FALSE(secrets.share);
  }
  EXPECT_TRUE(opens_for_trustees(vault.path(), session.state().vault(), trustees));
  EXPECT_EQ(bad_findings(session), "");
}

TEST(Recovery, SharesThatWereReplacedOpenNothingMadeSince) {
  const TestVault vault;
  auto session = vault.unlock("anna");
  new_case(session, "from before");
  renew(vault, session, "old");
  const auto catalog_key = session.keys().catalog_key.clone();
  const auto catalog_epoch = session.keys().catalog_epoch;
  const auto audit_key = session.keys().header.audit_key;
  const auto before = case_secrets(session, *session.state().find_case(1));
  renew(vault, session, "new");
  EXPECT_FALSE(
      Catalog::is_keyed_by(vault.path() / "catalog.db", catalog_key, catalog_epoch + 1, session.state().vault()));
  EXPECT_NE(session.keys().header.audit_key.bytes, audit_key.bytes);
  EXPECT_EQ(session.state().find_case(1)->epoch, 2);
  EXPECT_FALSE(equal_constant_time(case_secrets(session, *session.state().find_case(1)).key, before.key));
  EXPECT_EQ(bad_findings(session), "");
}

TEST(Recovery, NothingIsAddedToACaseThatReplacedSharesOpen) {
  const TestVault vault;
  vault.add_user("boris");
  const auto renew_as_anna = [&](const char* name) {
    auto anna = vault.unlock("anna");
    return renew(vault, anna, name);
  };
  renew_as_anna("old");
  {
    auto boris = vault.unlock("boris");
    new_case(boris, "his");
  }
  const auto renewed = renew_as_anna("new");
  ASSERT_EQ(renewed.waiting.size(), 1);
  EXPECT_EQ(renewed.waiting.front().who_can, std::vector<std::string>{"boris"});
  auto boris = vault.unlock("boris");  // seals it to the new set
  EXPECT_TRUE(boris.state().find_case(1)->recovery_key);
  EXPECT_TRUE(boris.state().needs_rotation(*boris.state().find_case(1)));
  open_case_for_adding(boris, 1, "add", "C-1");
  EXPECT_EQ(boris.state().find_case(1)->epoch, 2);
  EXPECT_EQ(bad_findings(boris), "");
}

TEST(Recovery, NoOtherVaultCanBeMadeForTheSameTrustees) {
  const auto seed = RecoverySeed::random();
  const auto vault = random_array<16>();
  const auto root = SigningKey::random().verify_key();
  const auto own = recovery_identity(seed, vault, root);
  const auto again = recovery_identity(seed, vault, root);
  EXPECT_EQ(own.id, again.id);
  EXPECT_EQ(own.box.public_key.bytes, again.box.public_key.bytes);
  const auto other_id = recovery_identity(seed, random_array<16>(), root);
  const auto other_root = recovery_identity(seed, vault, SigningKey::random().verify_key());
  for (const auto* other : {&other_id, &other_root}) {
    EXPECT_NE(own.id, other->id);
    EXPECT_NE(own.box.public_key.bytes, other->box.public_key.bytes);
    EXPECT_NE(own.signing.verify_key().bytes, other->signing.verify_key().bytes);
  }
}

TEST(Recovery, ACaseThatWasNotSealedIsFound) {
  const TestVault vault;
  auto session = vault.unlock("anna");
  renew(vault, session);
  new_case(session, "sealed");
  {
    // What a program does that leaves it out.
    const auto id = test::hex_array<16>("000102030405060708090a0b0c0d0e0f");
    const auto key = CaseKey::random();
    Catalog::Update update(session.catalog());
    auto made = new_statement(session, "case");
    made["case"] = to_hex(id);
    made["number"] = 2;
    update.append(made, session.identity().signing);
    auto epoch = new_statement(session, "case-epoch");
    epoch["case"] = to_hex(id);
    epoch["epoch"] = 1;
    epoch["title"] = to_hex(update.put_blob(seal_title("left out", id, key)));
    epoch["grants"] = {{{"user", to_hex(session.user_id())},
                        {"right", "manage"},
                        {"key", to_hex(update.put_blob(seal_to(session.identity().box.public_key, key)))}}};
    update.append(epoch, session.identity().signing);
    update.commit();
  }
  const auto found = bad_findings(session);
  EXPECT_NE(found.find("C-2: it was made or re-keyed without sealing its key to the trustees"), std::string::npos)
      << found;
  EXPECT_EQ(found.find("C-1: it was made"), std::string::npos) << found;
}

template <typename Change>
std::string refusal(Session& session, std::string_view kind, Change change) {
  Catalog::Update update(session.catalog());
  auto statement = new_statement(session, kind);
  change(statement);
  try {
    update.append(statement, session.identity().signing);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Recovery, StatementsThatNobodyMayMakeAreRefused) {
  const TestVault vault;
  vault.add_user("boris");
  auto anna = vault.unlock("anna");
  new_case(anna, "hers");
  renew(vault, anna);
  const auto set = anna.state().recovery()->identifier;
  const auto id = to_hex(anna.state().find_case(1)->id);
  auto boris = vault.unlock("boris");
  const auto seal = [&](nlohmann::json& statement) {
    statement["case"] = id;
    statement["epoch"] = 1;
    statement["set"] = set;
    statement["key"] = to_hex(Sha256Digest{});
  };
  EXPECT_NE(refusal(boris, "recovery-case", seal).find("may not add"), std::string::npos);
  grant_case(anna, 1, "boris", Right::kRead);
  EXPECT_NE(refusal(boris, "recovery-case", seal).find("may not add"), std::string::npos);
  EXPECT_NE(refusal(anna, "recovery-case", seal).find("sealed to the trustees before"), std::string::npos);
  const auto choose = [&](nlohmann::json& statement) {
    statement["set"] = set;
    statement["threshold"] = 2;
    statement["count"] = 3;
    statement["id"] = to_hex(ByteArray<16>{});
    statement["sign"] = to_hex(ByteArray<32>{});
    statement["box"] = to_hex(ByteArray<32>{});
  };
  EXPECT_NE(refusal(boris, "recovery", choose).find("only owners"), std::string::npos);
  EXPECT_NE(refusal(anna, "recovery", choose).find("was there before"), std::string::npos);
  const auto rehearse = [&](nlohmann::json& statement) {
    statement["set"] = set;
    statement["shares"] = 1;
  };
  EXPECT_NE(refusal(boris, "rehearsal", rehearse).find("impossible"), std::string::npos);
  EXPECT_NE(refusal(anna, "recover", [](nlohmann::json&) {}).find("not the recovery set in force"), std::string::npos);
}

TEST(Recovery, TooFewSharesDoNothing) {
  const TestVault vault;
  {
    auto session = vault.unlock("anna");
    renew(vault, session);
  }
  const auto shares = shares_in(vault.folder() / "sheets", {2});
  EXPECT_EQ(share_set(shares).missing, 1);
  EXPECT_THROW(combine_shares(shares), Error);
}

TEST(Recovery, SheetsHaveTheWordsInEveryForm) {
  const auto set = make_recovery_set(2, 3, VaultId{}, VerifyKey{}, nullptr);
  const SheetSet what{"Legal <Aid>", "lusab-babad", 1'700'000'000'000};
  const auto text = sheet_text(what, set, 1);
  const auto html = sheet_html(what, set, 1);
  const auto words = words_in_sheet(as_bytes(text));
  EXPECT_TRUE(equal_constant_time(words.expose_secret(), set.shares[1].words().expose_secret()));
  std::istringstream in{std::string(as_text(words.expose_secret()))};
  int number = 0;
  for (std::string word; in >> word;) {
    EXPECT_NE(text.find(" " + std::to_string(++number) + ". " + word), std::string::npos);
    EXPECT_NE(html.find("<li>" + word + "</li>"), std::string::npos);
  }
  EXPECT_EQ(number, 33);
  EXPECT_NE(html.find("<svg"), std::string::npos);
  EXPECT_NE(html.find("Legal &lt;Aid&gt;"), std::string::npos);
  EXPECT_EQ(html.find("{}"), std::string::npos);
  EXPECT_EQ(text.find("{}"), std::string::npos);
  EXPECT_NE(text.find("2023-11-14"), std::string::npos);
  for (const char* remote : {"<script", "src=", "href=", "url("}) EXPECT_EQ(html.find(remote), std::string::npos);
}

TEST(Recovery, WhatWasRecoveredVouchesForItsNewOwnerToPartners) {
  const TestVault vault;
  {
    auto session = vault.unlock("anna");
    new_case(session, "a case");
    renew(vault, session);
  }
  const auto seed = combine_shares(shares_in(vault.folder() / "sheets", {1, 2}));
  const auto environment = test::test_environment();
  const auto result = combine_vault({{.source = vault.path().string()}, {}, vault.folder() / "again.vault", "olga"},
                                    seed, test::passphrase_of("olga"), environment, kSilent, {});
  EXPECT_TRUE(result.verification.clean());
  EXPECT_EQ(result.put_out, std::vector<std::string>{"anna"});
  auto olga = Vault::open(vault.folder() / "again.vault", environment).unlock("olga", test::passphrase_of("olga"));
  EXPECT_EQ(list_cases(olga).size(), 1);
  const auto certificates = own_certificates(olga.catalog(), {olga.user_id()});
  const ForeignVault seen(certificates, "the vault");
  ASSERT_NE(seen.find(olga.user_id()), nullptr);
  EXPECT_EQ(seen.find(olga.user_id())->role, Role::kOwner);
  EXPECT_EQ(seen.removed().size(), 1);
  auto without_trustees = certificates;
  std::erase_if(without_trustees.statements,
                [](const auto& s) { return s.statement.find("\"recovery\"") != std::string::npos; });
  EXPECT_THROW(ForeignVault(without_trustees, "the vault"), Error);
}

}  // namespace
}  // namespace casevault
