#include "crypto/tlog_proof.h"

#include <gmock/gmock.h>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using testing::HasSubstr;

template <typename Action>
std::string refusal(Action action) {
  try {
    action();
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kDamaged);
    return error.what();
  }
}
std::string checkpoint_refusal(std::string_view text) {
  return refusal([&] { EXPECT_EQ(Checkpoint::parse(text).encode(), text); });
}
std::string proof_refusal(std::string_view text) {
  return refusal([&] { EXPECT_EQ(TlogProof::parse(text).encode(), text); });
}

// ---- Checkpoints.
// C2SP tlog-checkpoint.md, the example.
const std::string kExample =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

TEST(Checkpoint, PublishedExample) {
  const auto note = SignedNote::parse(kExample);
  EXPECT_EQ(note.encode(), kExample);
  const auto checkpoint = Checkpoint::parse(note.unverified_text());
  EXPECT_EQ(checkpoint.origin, "example.com/behind-the-sofa");
  EXPECT_EQ(checkpoint.size, 20852163u);
  EXPECT_EQ(to_hex(checkpoint.root), "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62");
  EXPECT_EQ(checkpoint.encode(), note.unverified_text());
}

const std::string kRoot = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

TEST(Checkpoint, GoodOnes) {
  for (const std::string& text : {"o\n0\n" + kRoot + "\n", "Справа №1 + space\n1\n" + kRoot + "\n",
                                  "o\n18446744073709551615\n" + kRoot + "\next 1\n \n"}) {
    EXPECT_EQ(checkpoint_refusal(text), "") << text;
  }
}

TEST(Checkpoint, AllElseIsRefused) {
  const std::string size_or_root = "size or its root", line = "line is missing or empty";
  EXPECT_THAT(checkpoint_refusal(""), HasSubstr(line));
  EXPECT_THAT(checkpoint_refusal("o\n1\n"), HasSubstr(line));
  EXPECT_THAT(checkpoint_refusal("\n1\n" + kRoot + "\n"), HasSubstr(line));
  EXPECT_THAT(checkpoint_refusal("o\n1\n" + kRoot), HasSubstr(line)) << "no newline";
  EXPECT_THAT(checkpoint_refusal("o\n1\n" + kRoot + "\n\n"), HasSubstr(line)) << "empty extension";
  EXPECT_THAT(checkpoint_refusal("o\n1\n" + kRoot + "\nx\n\ny\n"), HasSubstr(line)) << "empty extension";
  EXPECT_THAT(checkpoint_refusal("o\n1\n" + kRoot + "\nx"), HasSubstr(line)) << "no newline";
  for (const char* size : {"01", "-1", "+1", " 1", "1 ", "a", "18446744073709551616"}) {
    EXPECT_THAT(checkpoint_refusal(std::string("o\n") + size + "\n" + kRoot + "\n"), HasSubstr(size_or_root)) << size;
  }
  for (const std::string& root : {kRoot.substr(1), kRoot.substr(0, 43), kRoot + " ", "AAAA" + kRoot}) {
    EXPECT_THAT(checkpoint_refusal("o\n1\n" + root + "\n"), HasSubstr(size_or_root)) << root;
  }
}

struct Log {
  std::string origin = "casevault.example/log";
  SigningKey key = SigningKey::random();
  std::vector<TreeHash> leaves;
  explicit Log(std::uint64_t size) {
    for (std::uint64_t i = 0; i < size; ++i) leaves.push_back(merkle_leaf_hash(be64(i)));
  }
  NoteVerifier verifier() const { return {origin, key.verify_key()}; }
  TreeHash root(std::uint64_t size) const {
    MerkleFrontier frontier;
    for (std::uint64_t i = 0; i < size; ++i) frontier.append(leaves[i]);
    return frontier.root();
  }
  SignedNote checkpoint() const { return sign_checkpoint({origin, leaves.size(), root(leaves.size()), {}}, key); }
  TlogProof prove(std::uint64_t index, std::string_view extra = "") const {
    const auto view = as_bytes(extra);
    return {index, inclusion_proof(leaves, index), checkpoint(), Bytes(view.begin(), view.end())};
  }
};

TEST(Checkpoint, OnlyItsOwnLogSignsIt) {
  const Log log(5);
  EXPECT_EQ(verify_checkpoint(log.checkpoint(), log.verifier())->size, 5u);
  EXPECT_FALSE(verify_checkpoint(log.checkpoint(), Log(5).verifier())) << "another key of that name";
  const auto foreign = SignedNote::sign(Checkpoint{"other.example/log", 5, {}, {}}.encode(), log.origin, log.key);
  EXPECT_THAT(refusal([&] { (void)verify_checkpoint(foreign, log.verifier()); }), HasSubstr("of another log"));
  const auto text = SignedNote::sign("no checkpoint\n", log.origin, log.key);
  EXPECT_THAT(refusal([&] { (void)verify_checkpoint(text, log.verifier()); }), HasSubstr("checkpoint is damaged"));
}

TEST(Checkpoint, WrongLinesAreABug) {
  EXPECT_THROW((void)Checkpoint{}.encode(), Error);
  EXPECT_THROW((void)(Checkpoint{"a\nb", 0, {}, {}}.encode()), Error);
  EXPECT_THROW((void)(Checkpoint{"a", 0, {}, {""}}.encode()), Error);
}

// ---- Proofs.
TEST(TlogProof, EveryLeafOfEveryTreeIsProven) {
  for (std::uint64_t size = 1; size <= 33; ++size) {
    const Log log(size);
    for (std::uint64_t index = 0; index < size; ++index) {
      SCOPED_TRACE(testing::Message() << "leaf " << index << " of " << size);
      const auto text = log.prove(index, index % 2 == 0 ? "" : "extra").encode();
      ASSERT_EQ(proof_refusal(text), "");
      const auto proof = TlogProof::parse(text);
      EXPECT_EQ(as_text(proof.unauthenticated_extra()), index % 2 == 0 ? "" : "extra");
      const auto proven = proof.verify(log.leaves[index], log.verifier());
      EXPECT_EQ(proven.index, index);
      EXPECT_EQ(proven.checkpoint, (Checkpoint{log.origin, size, log.root(size), {}}));
      EXPECT_EQ(proven.root_before, log.root(index));
    }
  }
}

// The root before a leaf in large trees, from the paths of the published scheme.
TEST(TlogProof, RootBeforeALeafOfALargeTree) {
  const Log log(1500);
  for (const std::uint64_t index : {0u, 1u, 511u, 512u, 1000u, 1023u, 1024u, 1400u, 1498u, 1499u}) {
    EXPECT_EQ(root_before_leaf(index, 1500, inclusion_proof(log.leaves, index)), log.root(index)) << index;
  }
  EXPECT_THROW((void)root_before_leaf(3, 3, {}), Error);
}

TEST(TlogProof, NothingElseIsProven) {
  const Log log(21);
  const auto reason = [&](const TlogProof& proof, const TreeHash& leaf, const NoteVerifier& key) {
    return refusal([&] { (void)proof.verify(leaf, key); });
  };
  const auto proof = log.prove(13);
  EXPECT_EQ(reason(proof, log.leaves[13], log.verifier()), "");
  EXPECT_THAT(reason(proof, log.leaves[12], log.verifier()), HasSubstr("not in the log"));
  EXPECT_THAT(reason(proof, log.leaves[13], Log(21).verifier()), HasSubstr("not signed by casevault.example/log"));
  const TlogProof moved{12, inclusion_proof(log.leaves, 13), log.checkpoint()};
  EXPECT_THAT(reason(moved, log.leaves[13], log.verifier()), HasSubstr("not in the log"));
  Log changed(21);
  changed.leaves[3] = {};
  const TlogProof other{13, inclusion_proof(changed.leaves, 13), log.checkpoint()};
  EXPECT_THAT(reason(other, log.leaves[13], log.verifier()), HasSubstr("not in the log"));
  const TlogProof beyond{21, {}, log.checkpoint()};
  EXPECT_THAT(reason(beyond, log.leaves[13], log.verifier()), HasSubstr("not in the log"));
  auto forged = log.checkpoint();
  const TlogProof tampered{13, inclusion_proof(log.leaves, 13),
                           SignedNote::parse("x" + forged.encode())};  // another origin under the same signature
  EXPECT_THAT(reason(tampered, log.leaves[13], log.verifier()), HasSubstr("is not valid"));
}

// Every bit but those of the extra data is authenticated, or fixed by the format.
TEST(TlogProof, EveryBitCounts) {
  const Log log(7);
  const auto text = log.prove(4).encode();
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    auto changed = text;
    changed[bit / 8] = static_cast<char>(static_cast<unsigned char>(changed[bit / 8]) ^ (1u << (bit % 8)));
    EXPECT_NE(refusal([&] { (void)TlogProof::parse(changed).verify(log.leaves[4], log.verifier()); }), "") << changed;
  }
}

const std::string kSigned = "\n" + kExample;
const std::string kFirst = "c2sp.org/tlog-proof@v1\n";
struct BadProof {
  std::string name, text, reason;
};
const BadProof kBadProofs[] = {
    {"Empty", "", "does not begin"},
    {"OtherVersion", "c2sp.org/tlog-proof@v2\nindex 1\n" + kSigned, "does not begin"},
    {"CarriageReturn", "c2sp.org/tlog-proof@v1\r\nindex 1\n" + kSigned, "does not begin"},
    {"SpaceBehind", "c2sp.org/tlog-proof@v1 \nindex 1\n" + kSigned, "does not begin"},
    {"NoIndex", kFirst + kSigned, "index"},
    {"IndexEmpty", kFirst + "index \n" + kSigned, "index"},
    {"IndexZeros", kFirst + "index 01\n" + kSigned, "index"},
    {"IndexNegative", kFirst + "index -1\n" + kSigned, "index"},
    {"IndexTooLarge", kFirst + "index 18446744073709551616\n" + kSigned, "index"},
    {"ExtraBehindIndex", kFirst + "index 1\nextra AAAA\n" + kSigned, "hash is malformed"},
    {"TwoExtra", kFirst + "extra AAAA\nextra AAAA\nindex 1\n" + kSigned, "index"},
    {"ExtraEmpty", kFirst + "extra \nindex 1\n" + kSigned, "extra data"},
    {"ExtraUnpadded", kFirst + "extra AAA\nindex 1\n" + kSigned, "extra data"},
    {"ExtraUnusedBits", kFirst + "extra AAB=\nindex 1\n" + kSigned, "extra data"},
    {"ExtraWithoutSpace", kFirst + "extra\nindex 1\n" + kSigned, "index"},
    {"HashTooShort", kFirst + "index 1\nAAAA\n" + kSigned, "hash is malformed"},
    {"HashWithSpace", kFirst + "index 1\n" + kRoot + " \n" + kSigned, "hash is malformed"},
    {"NoCheckpoint", kFirst + "index 1\n" + kRoot + "\n", "no checkpoint"},
    {"CheckpointEmpty", kFirst + "index 1\n\n", "note is damaged"},
    {"NoNote", kFirst + "index 1\n\nexample.com\n1\n" + kRoot + "\n", "note is damaged"},
    {"NoCheckpointInNote", kFirst + "index 1\n\ntext\n\n\u2014 log AAAAAAA=\n", "checkpoint is damaged"},
    {"TwoEmptyLines", kFirst + "index 1\n\n" + kSigned, "checkpoint is damaged"},
    {"SomethingBehind", kFirst + "index 1\n" + kSigned + "more\n", "note is damaged"},
};
class MalformedProof : public testing::TestWithParam<BadProof> {};
TEST_P(MalformedProof, IsRefused) { EXPECT_THAT(proof_refusal(GetParam().text), HasSubstr(GetParam().reason)); }
INSTANTIATE_TEST_SUITE_P(TlogProof, MalformedProof, testing::ValuesIn(kBadProofs),
                         [](const auto& info) { return info.param.name; });

TEST(TlogProof, Limits) {
  const auto with = [](std::size_t hashes, std::size_t extra) {
    std::string text = kFirst + "extra " + std::string(extra, 'A') + "\nindex 1\n";
    for (std::size_t i = 0; i < hashes; ++i) text += kRoot + "\n";
    return text + kSigned;
  };
  EXPECT_EQ(proof_refusal(with(kMaxInclusionPath, 100'000)), "");
  EXPECT_THAT(proof_refusal(with(kMaxInclusionPath + 1, 4)), HasSubstr("too many hashes"));
  EXPECT_THAT(proof_refusal(with(1, kMaxTlogProofSize)), HasSubstr("too long"));
}

}  // namespace
}  // namespace casevault
