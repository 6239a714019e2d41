#include "crypto/witness_request.h"

#include <gmock/gmock.h>

#include <map>

#include "crypto/cosignature.h"
#include "crypto/encoding.h"
#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using testing::HasSubstr;

// The reason why it is refused, "" where it is not. Nothing but Error{kDamaged} is a refusal.
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
std::string request_refusal(const std::string& body) {
  return refusal([&] { EXPECT_EQ(WitnessRequest::parse(body).encode(), body); });
}

// ---- Published exchanges with a witness.
struct Exchange {
  std::string request;
  int status;
  std::string answer;  // what the file says of it
};

std::string between(const std::string& text, std::string_view from, std::string_view to, std::size_t at) {
  const auto begin = text.find(from, at) + from.size();
  return text.substr(begin, text.find(to, begin) - begin);
}

std::vector<Exchange> published_exchanges(const std::string& file) {
  constexpr std::string_view kStart = "/add-checkpoint\n```\n";
  std::vector<Exchange> exchanges;
  for (auto at = file.find(kStart); at != std::string::npos; at = file.find(kStart, at + 1)) {
    exchanges.push_back({between(file, kStart, "```\n", at), std::stoi(between(file, "HTTP ", "\n", at)),
                         between(file, "[Asserts]\n", "\n", at)});
  }
  return exchanges;
}

// One of the published signatures sets bits that base64 leaves unused. Go reads it all the same; here it is malformed,
// so it is tried as the bytes that Go reads.
std::string canonical(std::string request) {
  const auto at = request.find("6gx=\n");
  if (at == std::string::npos) {
    EXPECT_EQ(request_refusal(request), "");
    return request;
  }
  EXPECT_THAT(request_refusal(request), HasSubstr("not base64"));
  return request.replace(at, 5, "6gw=\n");
}

// A witness as the specification has it, in memory: what casevault's service does with these functions.
class Witness {
 public:
  explicit Witness(NoteVerifier log) : log_(std::move(log)) {}
  CosignatureVerifier verifier() const { return {name_, key_.verify_key()}; }

  std::pair<int, std::string> answer(const std::string& body) {
    const auto request = WitnessRequest::parse(body);
    if (request.unverified_checkpoint().origin != log_.name()) return {404, "unknown log"};
    std::optional<Checkpoint> checkpoint;
    const auto why = refusal([&] { checkpoint = verify_checkpoint(request.note(), log_); });
    if (!checkpoint) return {403, why};
    if (request.old_size() != latest_.size) return {409, std::to_string(latest_.size) + "\n"};
    if (!request.is_consistent_with(latest_.root)) return {422, ""};
    latest_ = *checkpoint;
    return {200, cosign(latest_, name_, key_, 1).encode()};
  }

 private:
  NoteVerifier log_;
  std::string name_ = "example.com/witness";
  SigningKey key_ = SigningKey::random();
  Checkpoint latest_;
};

TEST(WitnessVectors, AllExchangesGoAsPublished) {
  const auto path = test::vector_path("witness/litewitness.txt");
  CASEVAULT_NEEDS_VECTORS(path);
  const auto bytes = test::read_file(path);
  const std::string file(as_text(bytes));
  const auto origin = "sigsum.org/v1/tree/" + between(file, "sigsum.org/v1/tree/", "\n", 0);
  Witness witness(NoteVerifier(origin, {test::hex_array<32>(between(file, "add-sigsum-log -key=", "\n", 0))}));
  const auto exchanges = published_exchanges(file);
  ASSERT_EQ(exchanges.size(), 9u);
  for (const auto& exchange : exchanges) {
    SCOPED_TRACE(exchange.request);
    const auto [status, answer] = witness.answer(canonical(exchange.request));
    const bool unknown_log = exchange.answer.find("unknown log") != std::string::npos;
    EXPECT_EQ(status, unknown_log ? 404 : exchange.status)
        << "(403 for an unknown log is older than the specification)";
    if (status == 409) {
      EXPECT_EQ("body == \"" + answer.substr(0, answer.size() - 1) + "\\n\"", exchange.answer);
    }
    if (status != 200) continue;
    EXPECT_THAT(answer, HasSubstr("\u2014 example.com/witness"));
    const auto note = WitnessRequest::parse(exchange.request).note();
    EXPECT_EQ(with_cosignature(note, answer, witness.verifier()).signatures().size(), 2u);
  }
}

// C2SP tlog-witness.md, the example.
TEST(WitnessRequest, PublishedExample) {
  const std::string body =
      "old 20852014\n"
      "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
      "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
      "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
      "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n"
      "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
      "\u2014 example.com/behind-the-sofa "
      "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
      "\u2014 example.com/behind-the-sofa "
      "opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
  EXPECT_EQ(request_refusal(body), "");
  const auto request = WitnessRequest::parse(body);
  EXPECT_EQ(request.old_size(), 20852014u);
  EXPECT_EQ(request.unverified_checkpoint().size, 20852163u);
  EXPECT_EQ(request.note().signatures().size(), 2u);
}

// ---- Consistency, against trees of ours.
struct Tree {
  std::vector<TreeHash> leaves;
  explicit Tree(std::uint64_t size) {
    for (std::uint64_t i = 0; i < size; ++i) leaves.push_back(merkle_leaf_hash(be64(i)));
  }
  TreeHash root(std::uint64_t size) const {
    MerkleFrontier frontier;
    for (std::uint64_t i = 0; i < size; ++i) frontier.append(leaves[i]);
    return frontier.root();
  }
  std::vector<TreeHash> proof(std::uint64_t old_size) const {
    return old_size == 0 ? std::vector<TreeHash>() : consistency_proof(leaves, old_size);
  }
};

SignedNote note_of(std::uint64_t size, const TreeHash& root) {
  static const SigningKey kKey = SigningKey::random();
  return sign_checkpoint({"casevault.example/log", size, root, {}}, kKey);
}

TEST(WitnessRequest, EveryGrowthIsConsistent) {
  for (std::uint64_t size = 0; size <= 20; ++size) {
    const Tree tree(size);
    for (std::uint64_t old_size = 0; old_size <= size; ++old_size) {
      SCOPED_TRACE(testing::Message() << old_size << " to " << size);
      const WitnessRequest request(old_size, tree.proof(old_size), note_of(size, tree.root(size)));
      ASSERT_EQ(request_refusal(request.encode()), "");
      const auto parsed = WitnessRequest::parse(request.encode());
      EXPECT_TRUE(parsed.is_consistent_with(tree.root(old_size)));
      EXPECT_EQ(parsed.is_consistent_with({}), old_size == 0) << "nothing is before the empty tree";
      auto longer = tree.proof(old_size);
      longer.emplace_back();
      const WitnessRequest padded(old_size, longer, note_of(size, tree.root(size)));
      EXPECT_FALSE(padded.is_consistent_with(tree.root(old_size)));
    }
  }
}

TEST(WitnessRequest, OtherTreesAreNot) {
  const Tree tree(11);
  auto changed = tree;
  changed.leaves[2] = {};
  const WitnessRequest forked(5, changed.proof(5), note_of(11, changed.root(11)));
  EXPECT_TRUE(forked.is_consistent_with(changed.root(5)));
  EXPECT_FALSE(forked.is_consistent_with(tree.root(5)));
  EXPECT_FALSE(WitnessRequest(5, {}, note_of(11, tree.root(11))).is_consistent_with(tree.root(5)));
  EXPECT_FALSE(WitnessRequest(11, {}, note_of(11, changed.root(11))).is_consistent_with(tree.root(11))) << "same size";
  EXPECT_FALSE(WitnessRequest(0, {}, note_of(0, tree.root(1))).is_consistent_with({})) << "an empty tree has one root";
}

// ---- What is no request. Each row is a whole one.
const std::string kHash = "KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
const std::string kNote = "log\n3\n" + kHash + "\n\u2014 log AAAAAAA=\n";
struct BadRequest {
  std::string name, body, reason;
};
const BadRequest kBadRequests[] = {
    {"Empty", "", "old size"},
    {"NoOld", kHash + "\n" + kNote, "old size"},
    {"UpperCase", "Old 1\n\n" + kNote, "old size"},
    {"TwoSpaces", "old  1\n\n" + kNote, "old size"},
    {"SpaceBehind", "old 1 \n\n" + kNote, "old size"},
    {"LeadingZero", "old 01\n\n" + kNote, "old size"},
    {"Sign", "old +1\n\n" + kNote, "old size"},
    {"NoNumber", "old \n\n" + kNote, "old size"},
    {"TooLarge", "old 18446744073709551616\n\n" + kNote, "old size"},
    {"CarriageReturn", "old 1\r\n\n" + kNote, "old size"},
    {"OnlyOld", "old 1\n", "no checkpoint"},
    {"NoEmptyLine", "old 1\n" + kHash, "no checkpoint"},
    {"NoNewline", "old 1", "old size"},
    {"CheckpointForProof", "old 1\n" + kNote, "a hash is malformed"},
    {"ShortHash", "old 1\nKgEA\n\n" + kNote, "a hash is malformed"},
    {"LongHash", "old 1\nAAAA" + kHash + "\n" + kNote, "a hash is malformed"},
    {"UnpaddedHash", "old 1\n" + kHash.substr(0, 43) + "\n\n" + kNote, "a hash is malformed"},
    {"UnusedBits", "old 1\n" + kHash.substr(0, 42) + "B=\n\n" + kNote, "a hash is malformed"},
    {"SpaceBehindHash", "old 1\n" + kHash.substr(0, 44) + " \n\n" + kNote, "a hash is malformed"},
    {"NoNote", "old 1\n\n", "signed note"},
    {"NoSignature", "old 1\n\nlog\n3\n" + kHash, "signed note"},
    {"TwoEmptyLines", "old 1\n\n\n" + kNote, "checkpoint is damaged"},
    {"NoCheckpoint", "old 1\n\nlog\n\n\u2014 log AAAAAAA=\n", "checkpoint is damaged"},
    {"Shrinking", "old 4\n\n" + kNote, "larger than its checkpoint"},
    {"LineBehind", "old 1\n\n" + kNote + "more\n", "signed note"},
};
class MalformedRequest : public testing::TestWithParam<BadRequest> {};
TEST_P(MalformedRequest, IsRefused) { EXPECT_THAT(request_refusal(GetParam().body), HasSubstr(GetParam().reason)); }
INSTANTIATE_TEST_SUITE_P(WitnessRequest, MalformedRequest, testing::ValuesIn(kBadRequests),
                         [](const auto& info) { return info.param.name; });

TEST(WitnessRequest, Limits) {
  const auto of = [](std::size_t hashes) {
    std::string body = "old 1\n";
    for (std::size_t i = 0; i < hashes; ++i) body += kHash;
    return body + "\n" + kNote;
  };
  EXPECT_EQ(request_refusal(of(kMaxConsistencyProof)), "");
  EXPECT_THAT(request_refusal(of(kMaxConsistencyProof + 1)), HasSubstr("too many hashes"));
  const std::vector<TreeHash> proof(kMaxConsistencyProof + 1);
  EXPECT_THROW((WitnessRequest(1, proof, note_of(2, {}))), Error);
  auto body = of(0);
  const auto fill = kMaxWitnessRequestSize - body.size() - 1;
  body.insert(body.find("\n\n\u2014") + 1, std::string(fill, 'x') + "\n");  // a line of extension
  EXPECT_EQ(body.size(), kMaxWitnessRequestSize);
  EXPECT_EQ(request_refusal(body), "");
  body.insert(body.find("xx"), "x");
  EXPECT_THAT(request_refusal(body), HasSubstr("too long"));
}

}  // namespace
}  // namespace casevault
