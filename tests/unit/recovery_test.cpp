#include "vault/replica/recovery.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/test_vault.h"
#include "tests/support/vectors.h"
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
  const auto identity = recovery_identity(seed);
  EXPECT_EQ(to_hex(identity.id), "04814fa14f063c9eccd3edae0371643f");
  EXPECT_EQ(to_hex(identity.signing.verify_key().bytes),
            "33c05d88494188f4d7172b8aba79c8b4b1a3cbc8de75b42b6d18c87f4053151c");
  EXPECT_EQ(to_hex(identity.box.public_key.bytes), "dd57226736af46444bf9a72a1ccbef288501f45e62a74cc67a283cb967a76a4f");
}

TEST(Recovery, SealedCasesOpenForTheTrustees) {
  const TestVault vault;
  auto session = vault.unlock("anna");
  new_case(session, "before");
  const auto renewed = renew(vault, session);
  new_case(session, "after");
  EXPECT_EQ(renewed.covered, std::vector<std::int64_t>{1});
  EXPECT_EQ(renewed.waiting, std::vector<std::int64_t>{});
  const auto trustees = combine_shares(shares_in(vault.folder() / "sheets", {1, 3}));
  for (const auto& [number, entry] : session.state().cases()) {
    const auto secrets = open_case_secrets(trustees, session.catalog().blob(entry.recovery_key.value()), entry);
    EXPECT_TRUE(equal_constant_time(secrets.key, case_secrets(session, entry).key));
    EXPECT_FALSE(secrets.share);
  }
  EXPECT_TRUE(opens_for_trustees(vault.path(), session.state().vault(), trustees));
  EXPECT_EQ(bad_findings(session), "");
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
  EXPECT_NE(refusal(boris, "recovery-case", seal).find("could not open the case"), std::string::npos);
  EXPECT_NE(refusal(anna, "recovery-case", seal).find("sealed to the trustees before"), std::string::npos);
  const auto choose = [&](nlohmann::json& statement) {
    statement["set"] = set;
    statement["threshold"] = 2;
    statement["count"] = 3;
    statement["id"] = to_hex(ByteArray<16>{});
    statement["sign"] = to_hex(ByteArray<32>{});
    statement["box"] = to_hex(ByteArray<32>{});
    statement["handover"] = to_hex(Sha256Digest{});
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
  const auto set = make_recovery_set(2, 3, nullptr);
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
  const auto trustees = combine_shares(shares_in(vault.folder() / "sheets", {1, 2}));
  const auto environment = test::test_environment();
  const auto result = combine_vault({{.source = vault.path().string()}, {}, vault.folder() / "again.vault", "olga"},
                                    trustees, test::passphrase_of("olga"), environment, kSilent);
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
