#include "vault/custody/custodian_log.h"

#include "crypto/checkpoint.h"
#include "crypto/cosignature.h"
#include "crypto/key_file.h"
#include "crypto/witness_request.h"
#include "tests/support/test_custodian.h"

namespace casevault {
namespace {

using namespace test;

// ---- Proofs, against the plain ones over all leaves.
TEST(CustodianLog, ProvesAsOneThatRemembersEveryLeaf) {
  init_crypto();
  const TempFolder folder;
  auto store = custodian::Store::create(folder.path(), "x", 0);
  const auto key = SigningKey::random();
  auto log = custodian::Log::open(*store, key);
  std::vector<TreeHash> leaves;
  std::vector<std::string> entries;
  const std::set<std::size_t> looked_at = {1, 2, 3, 255, 256, 257, 511, 512, 513, 767, 1024, 1300};
  while (leaves.size() < 1300) {
    log.append({.action = "start", .detail = std::to_string(leaves.size())}, 7);
    entries.push_back(store->log_entries(leaves.size(), leaves.size() + 1).at(0));
    leaves.push_back(merkle_leaf_hash(as_bytes(entries.back())));
    if (!looked_at.contains(leaves.size())) continue;
    for (std::size_t index = 0; index < leaves.size(); index += 1 + index / 7) {
      ASSERT_EQ(log.prove_inclusion(index, entries[index]), inclusion_proof(leaves, index)) << index;
      ASSERT_EQ(log.prove_consistency(index + 1), consistency_proof(leaves, index + 1)) << index;
    }
  }
  store->put_head(log.head(), 7);
  auto again = custodian::Log::open(*store, key);
  EXPECT_EQ(again.head().root, log.head().root);
  EXPECT_EQ(again.prove_inclusion(300, entries[300]), inclusion_proof(leaves, 300));
  EXPECT_EQ(error_of([&] { again.prove_inclusion(300, entries[301]); })->code(), Errc::kDamaged);
}

// ---- An entry that somebody changed in the store.
class ChangedLogs : public testing::Test {
 protected:
  void SetUp() override {
    vault.set_up();
    for (int i = 0; i < 300; ++i) vault.released(vault.first.id);
  }
  Database store() const {
    const auto content = read_file(at.data() / "store.key");
    ByteView rest = content;
    auto key = read_key<DatabaseKey>([&](std::span<std::byte> out) {
      const auto size = std::min(out.size(), rest.size());
      copy_bytes(rest.first(size), out);
      rest = rest.subspan(size);
      return size;
    });
    return Database::open(at.data() / "store.db", *key, 1);
  }
  void change(const char* sql) const { store().execute(sql); }
  static constexpr const char* kHide = "UPDATE log SET entry = replace(entry, 'release', 'confirm') WHERE number = ";

  TestCustodian at;
  TestVault vault{at};
};

TEST_F(ChangedLogs, AreNoticedAtTheStart) {
  at.custodian.reset();
  change((std::string(kHide) + "17").c_str());
  EXPECT_EQ(error_of([&] { at.start(); })->code(), Errc::kDamaged);
}

TEST_F(ChangedLogs, AreNoticedWhenAnEntryIsGone) {
  at.custodian.reset();
  change("DELETE FROM log WHERE number = 17");
  EXPECT_EQ(error_of([&] { at.start(); })->code(), Errc::kDamaged);
}

TEST_F(ChangedLogs, AreNoticedByAProof) {
  for (const auto* number : {"17", "280"}) {  // in a full block, and in the last one
    change((std::string(kHide) + number).c_str());
    EXPECT_EQ(error_of([&] { vault.account(vault.owner, number == std::string("17") ? 0 : 270); })->code(),
              Errc::kDamaged);
    EXPECT_EQ(error_of([&] { at.get("/healthz"); })->code(), Errc::kInternal) << "it does not go on";
    at.custodian.reset();
    change(
        (std::string("UPDATE log SET entry = replace(entry, 'confirm', 'release') WHERE number = ") + number).c_str());
    at.start();
  }
}

// A store and its head changed together open, but not under a checkpoint that somebody remembers.
TEST_F(ChangedLogs, AreNoticedByWhoeverRemembersACheckpoint) {
  const NoteVerifier log("casevault-custodian/" + at.to().substr(0, 32), at.custodian->identity().key);
  const auto before = *verify_checkpoint(SignedNote::parse(at.get("/v1/checkpoint").body), log);
  vault.released(vault.first.id);
  const auto is_consistent = [&] {
    const auto answer = json_of(at.get("/v1/consistency", "?old=" + std::to_string(before.size)));
    const auto after = *verify_checkpoint(SignedNote::parse(answer.at("checkpoint").get<std::string>()), log);
    std::vector<TreeHash> proof;
    for (const auto& hash : answer.at("proof")) proof.push_back(*array_from_hex<32>(hash.get<std::string>()));
    return verify_consistency(before.size, before.root, after.size, after.root, proof);
  };
  EXPECT_TRUE(is_consistent());
  at.custodian.reset();
  {
    const auto database = store();
    database.execute((std::string(kHide) + "17").c_str());
    auto rows = database.prepare("SELECT entry FROM log ORDER BY number");
    MerkleFrontier tree;
    while (rows.step()) tree.append(merkle_leaf_hash(as_bytes(rows.text(0))));
    const auto root = tree.root();
    database.prepare("UPDATE head SET root = ?").bind(1, ByteView(root)).run();
  }
  at.start();
  EXPECT_FALSE(is_consistent());
  EXPECT_EQ(word(at.get("/v1/consistency", "?old=0")), "404 unknown");
  EXPECT_EQ(word(at.get("/v1/consistency", "?old=9999")), "404 unknown");
}

// ---- As a witness of the vault's log.
class Witnesses : public testing::Test {
 protected:
  void SetUp() override {
    vault.set_up();
    for (int i = 0; i < 20; ++i) leaves.push_back(sha256(be32(i)));
  }
  TreeHash root(std::size_t size) const {
    MerkleFrontier tree;
    for (std::size_t i = 0; i < size; ++i) tree.append(leaves[i]);
    return tree.root();
  }
  SignedNote note(std::size_t size, const TreeHash& root, const SigningKey& key) const {
    return sign_checkpoint({vault.log_name, size, root, {}}, key);
  }
  SignedNote note(std::size_t size) const { return note(size, root(size), vault.log); }
  std::vector<TreeHash> proof(std::size_t old_size, std::size_t size) const {
    if (old_size == 0) return {};
    return consistency_proof(std::span(leaves).first(size), old_size);
  }
  WireAnswer add(std::size_t old_size, std::vector<TreeHash> proof, const SignedNote& note) {
    return add(old_size, std::move(proof), note, vault.device.key);
  }
  WireAnswer add(std::size_t old_size, std::vector<TreeHash> proof, const SignedNote& note, const SigningKey& device) {
    return at.send({"POST", "/v1/add-checkpoint", "", WitnessRequest(old_size, std::move(proof), note).encode()},
                   device);
  }
  std::string newest_in_confirmation() {
    at.now += kSecondMs;
    return json_of(vault.confirm(vault.anna, vault.anna.key)).at("checkpoint");
  }
  std::size_t witnessed(TestVault& by) {
    const auto entries = by.account(by.owner).at("entries");
    return static_cast<std::size_t>(std::ranges::count_if(entries, [](const Json& item) {
      const auto entry = item.at("entry").get<std::string>();
      return entry.starts_with(R"({"action":"witness")") && entry.find("size=") != entry.npos;
    }));
  }
  WireAnswer add(std::size_t old_size, std::size_t size) { return add(old_size, proof(old_size, size), note(size)); }
  CosignatureVerifier verifier() const {
    return {"casevault-custodian/" + at.to().substr(0, 32), at.custodian->identity().key};
  }

  TestCustodian at;
  TestVault vault{at};
  std::vector<TreeHash> leaves;
};

TEST_F(Witnesses, CosignWhatContinues) {
  const auto answer = add(0, 5);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto said = verify_cosignature(with_cosignature(note(5), answer.body, verifier()), verifier());
  ASSERT_TRUE(said);
  EXPECT_EQ(said->time, static_cast<std::uint64_t>(at.now / 1000));
  EXPECT_EQ(said->checkpoint.size, 5u);
  EXPECT_EQ(add(5, 5).status, 200) << "the same once more";
  EXPECT_EQ(add(5, 20).status, 200);
  at.restart();
  EXPECT_EQ(add(20, 20).status, 200);
}

TEST_F(Witnesses, TellTheSizeThatTheyKnow) {
  add(0, 5);
  at.restart();
  for (const std::size_t old_size : {0, 3}) {
    const auto answer = add(old_size, 9);
    EXPECT_EQ(answer.status, 409);
    EXPECT_EQ(answer.body, "5\n");
    EXPECT_EQ(answer.type, "text/x.tlog.size");
  }
}

TEST_F(Witnesses, RefuseTheRest) {
  add(0, 5);
  EXPECT_EQ(add(5, {}, note(9)).status, 422);
  EXPECT_EQ(add(5, proof(4, 9), note(9)).status, 422);
  EXPECT_EQ(add(5, {}, note(5, root(6), vault.log)).status, 409) << "another tree of the same size";
  EXPECT_EQ(add(5, proof(5, 9), note(9, root(9), SigningKey::random())).status, 403);
  EXPECT_EQ(add(0, {}, sign_checkpoint({"another.log", 5, root(5), {}}, vault.log)).status, 404);
  EXPECT_EQ(at.send({"POST", "/v1/add-checkpoint", "", "old 5\n"}, vault.device.key).status, 400);
  const auto other_vault = "casevault/" + hex(random_array<16>());
  EXPECT_EQ(add(0, {}, sign_checkpoint({other_vault, 5, root(5), {}}, vault.log)).status, 404);
  EXPECT_EQ(add(5, 9).status, 200) << "none of it did any harm";
}

// Whoever has the organisation's key, and no machine that is enrolled.
TEST_F(Witnesses, ListenToTheVaultsMachinesAlone) {
  const auto body = WitnessRequest(0, {}, note(5)).encode();
  EXPECT_EQ(word(at.post_unsigned("/v1/add-checkpoint", body)), "401 unsigned");
  EXPECT_EQ(word(add(0, {}, note(5), SigningKey::random())), "401 signature");
  EXPECT_EQ(word(add(0, {}, note(5), vault.owner)), "401 signature");
  const WireRequest request{"POST", "/v1/add-checkpoint", "", body};
  const auto signature = sign_request(request, vault.device.key, at.now / 1000);
  EXPECT_EQ(word(at.handle({"POST", "/v1/add-checkpoint", "", WitnessRequest(0, {}, note(6)).encode()}, &signature)),
            "401 signature");
  EXPECT_EQ(word(at.handle(request, &signature)), "200");
  EXPECT_EQ(word(at.handle(request, &signature)), "401 replay");
  vault.obey("burn", "device:" + hex(vault.device.id));
  EXPECT_EQ(word(add(5, 9)), "403 burned");
}

TEST_F(Witnesses, TakeNothingOfAVaultThatIsClosed) {
  add(0, 5);
  vault.obey("lock");
  EXPECT_EQ(word(add(5, 9)), "403 locked");
  EXPECT_EQ(word(add(5, 5)), "403 locked");
  vault.obey("unlock");
  EXPECT_EQ(word(add(5, 9)), "200");
  vault.confirm(vault.anna, vault.anna.duress);
  EXPECT_EQ(word(add(9, 10)), "403 locked");
  EXPECT_EQ(word(add(9, 9)), "200") << "under duress the newest one once more";
  vault.obey("destroy");
  EXPECT_EQ(word(add(9, 10)), "403 destroyed");
}

// The public key of a log is on receipts and in bundles.
TEST_F(Witnesses, TellAVaultThatNamesTheSameLogNothing) {
  TestVault spy(at);
  spy.log_name = vault.log_name;
  spy.log = SigningKey::from_seed(vault.log.seed().clone());
  ASSERT_EQ(word(spy.enrol()), "200");
  EXPECT_EQ(add(0, 5).status, 200);
  EXPECT_EQ(word(add(5, proof(5, 9), note(9), spy.device.key)), "401 signature");
  EXPECT_EQ(witnessed(vault), 1u);
  EXPECT_EQ(witnessed(spy), 0u);
}

TEST_F(Witnesses, BeginAnewWithANewKeyOfTheLog) {
  add(0, 9);
  EXPECT_EQ(newest_in_confirmation(), note(9).encode());
  const auto old = std::exchange(vault.log, SigningKey::random());
  ASSERT_EQ(word(vault.change_policy(vault.policy())), "200");
  EXPECT_EQ(newest_in_confirmation(), "");
  EXPECT_EQ(word(add(9, proof(9, 20), note(20, root(20), old))), "403 signature");
  EXPECT_EQ(add(9, proof(9, 10), note(10)).body, "0\n");
  EXPECT_EQ(add(0, 7).status, 200) << "an owner may go back, and it is in the log";
  EXPECT_EQ(newest_in_confirmation(), note(7).encode());
  const auto entries = vault.account(vault.owner).at("entries");
  EXPECT_EQ(std::ranges::count_if(entries,
                                  [](const Json& item) {
                                    const auto entry = item.at("entry").get<std::string>();
                                    return entry.find("\"detail\":\"log=") != entry.npos;
                                  }),
            2)
      << "with the enrolment, and now";
}

TEST_F(Witnesses, ShowTheNewestCheckpointWithAConfirmation) {
  vault.evaluate(vault.anna);
  EXPECT_EQ(json_of(vault.confirm(vault.anna, vault.anna.key)).at("checkpoint"), "");
  add(0, 5);
  auto with_others = note(9);
  with_others.append({"other.org", {}, bytes_of("xxxx")});
  ASSERT_EQ(add(5, proof(5, 9), with_others).status, 200);
  at.now += kSecondMs;
  EXPECT_EQ(json_of(vault.confirm(vault.anna, vault.anna.key)).at("checkpoint"), note(9).encode());
}

}  // namespace
}  // namespace casevault
