#include "crypto/merkle.h"

#include <random>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using Leaves = std::span<const TreeHash>;

std::vector<TreeHash> leaves(std::uint64_t count) {
  std::vector<TreeHash> out;
  for (std::uint64_t i = 0; i < count; ++i) out.push_back(merkle_leaf_hash(be64(i)));
  return out;
}

// RFC 6962 section 2.1, word for word.
TreeHash naive_root(Leaves d) {
  if (d.empty()) return merkle_empty_root();
  if (d.size() == 1) return d[0];
  std::size_t k = 1;
  while (2 * k < d.size()) k *= 2;
  return merkle_node_hash(naive_root(d.first(k)), naive_root(d.subspan(k)));
}

TreeHash frontier_root(Leaves d) {
  MerkleFrontier frontier;
  for (const TreeHash& leaf : d) frontier.append(leaf);
  return frontier.root();
}

TreeHash flipped(TreeHash hash, std::size_t bit) {
  hash[bit / 8 % hash.size()] ^= std::byte{1} << (bit % 8);
  return hash;
}

// ---- Published vectors.
// Some hashes there are no hashes ("", "don't care 1"): filled up with zeros they are different wrong hashes still.
TreeHash hash_of(const nlohmann::json& base64) {
  Bytes bytes = from_base64(base64.get<std::string>()).value();
  bytes.resize(sizeof(TreeHash));
  return to_array<sizeof(TreeHash)>(bytes);
}
std::vector<TreeHash> proof_of(const nlohmann::json& proof) {
  std::vector<TreeHash> out;
  for (const auto& hash : proof) out.push_back(hash_of(hash));  // null is as empty
  return out;
}

class InclusionVector : public testing::TestWithParam<std::filesystem::path> {};
TEST_P(InclusionVector, IsDecidedAsExpected) {
  CASEVAULT_NEEDS_VECTORS(GetParam());
  const auto c = test::read_json(GetParam());
  const bool are_hashes = c["leafHash"] != "" && c["root"] != "";  // TreeHash can hold nothing else
  EXPECT_EQ(are_hashes && verify_inclusion(hash_of(c["leafHash"]), c["leafIdx"], c["treeSize"], proof_of(c["proof"]),
                                           hash_of(c["root"])),
            !c["wantErr"].get<bool>())
      << c["desc"];
}
INSTANTIATE_TEST_SUITE_P(Merkle, InclusionVector, testing::ValuesIn(test::vector_files("merkle/inclusion")),
                         test::vector_test_name);

// The three cases that want an error for two empty trees where the witness protocol wants none: here 0 is always
// refused.
class ConsistencyVector : public testing::TestWithParam<std::filesystem::path> {};
TEST_P(ConsistencyVector, IsDecidedAsExpected) {
  CASEVAULT_NEEDS_VECTORS(GetParam());
  const auto c = test::read_json(GetParam());
  EXPECT_EQ(verify_consistency(c["size1"], hash_of(c["root1"]), c["size2"], hash_of(c["root2"]), proof_of(c["proof"])),
            !c["wantErr"].get<bool>())
      << c["desc"];
}
INSTANTIATE_TEST_SUITE_P(Merkle, ConsistencyVector, testing::ValuesIn(test::vector_files("merkle/consistency")),
                         test::vector_test_name);

TEST(MerkleVectors, AllCasesAreThere) {
  CASEVAULT_NEEDS_VECTORS(test::vector_path("merkle"));
  EXPECT_EQ(test::vector_files("merkle/inclusion").size(), 98u);
  EXPECT_EQ(test::vector_files("merkle/consistency").size(), 98u);
}

TEST(MerkleVectors, Roots) {
  const auto path = test::vector_path("merkle/roots.json");
  CASEVAULT_NEEDS_VECTORS(path);
  const auto vectors = test::read_json(path);
  const auto& roots = vectors["root_hashes_hex_by_size"];
  MerkleFrontier frontier;
  EXPECT_EQ(to_hex(frontier.root()), roots[0]);
  for (const auto& leaf : vectors["leaf_inputs_hex"]) {
    frontier.append(merkle_leaf_hash(test::hex(leaf.get<std::string>())));
    EXPECT_EQ(to_hex(frontier.root()), roots.at(frontier.size()));
  }
  EXPECT_EQ(frontier.size(), 8u);
}

// ---- Properties.
TEST(Merkle, LeavesAndNodesAreHashedApart) {
  const TreeHash a = merkle_leaf_hash(as_bytes("a")), b = merkle_leaf_hash(as_bytes("b"));
  EXPECT_NE(merkle_node_hash(a, b), merkle_leaf_hash(concat({a, b})));
  EXPECT_NE(merkle_node_hash(a, b), merkle_node_hash(b, a));
  EXPECT_NE(merkle_leaf_hash({}), merkle_empty_root());
}

TEST(MerkleFrontier, RootIsTheNaiveRootAtEverySize) {
  const auto all = leaves(300);
  MerkleFrontier frontier;
  for (std::uint64_t n = 0; n <= all.size(); ++n) {
    ASSERT_EQ(frontier.size(), n);
    ASSERT_EQ(frontier.root(), naive_root(Leaves(all).first(n))) << n;
    if (n < all.size()) frontier.append(all[n]);
  }
}

TEST(MerkleFrontier, RootIsTheNaiveRootForRandomLeaves) {
  std::mt19937_64 random(20240501);
  for (int round = 0; round < 50; ++round) {
    std::vector<TreeHash> all(random() % 2000);
    for (TreeHash& leaf : all) leaf = merkle_leaf_hash(be64(random()));
    ASSERT_EQ(frontier_root(all), naive_root(all)) << all.size();
  }
}

constexpr std::uint64_t kLargest = 33;

TEST(MerkleProofs, EveryInclusionProofVerifiesAndNoChangedOne) {
  for (std::uint64_t n = 1; n <= kLargest; ++n) {
    const auto all = leaves(n);
    const TreeHash root = naive_root(all);
    for (std::uint64_t i = 0; i < n; ++i) {
      SCOPED_TRACE(testing::Message() << "leaf " << i << " of " << n);
      auto proof = inclusion_proof(all, i);
      ASSERT_TRUE(verify_inclusion(all[i], i, n, proof, root));
      EXPECT_FALSE(verify_inclusion(flipped(all[i], i), i, n, proof, root));
      EXPECT_FALSE(verify_inclusion(all[i], i, n, proof, flipped(root, i)));
      for (std::uint64_t j = 0; j <= n; ++j) {
        EXPECT_EQ(verify_inclusion(all[i], j, n, proof, root), j == i) << "as leaf " << j;
      }
      for (std::size_t k = 0; k < proof.size(); ++k) {
        auto changed = proof;
        changed[k] = flipped(changed[k], i + k);
        EXPECT_FALSE(verify_inclusion(all[i], i, n, changed, root)) << "hash " << k << " changed";
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(k));
        EXPECT_FALSE(verify_inclusion(all[i], i, n, changed, root)) << "hash " << k << " left out";
      }
      proof.push_back(root);
      EXPECT_FALSE(verify_inclusion(all[i], i, n, proof, root)) << "hash added";
    }
  }
}

TEST(MerkleProofs, EveryConsistencyProofVerifiesAndNoChangedOne) {
  for (std::uint64_t n = 1; n <= kLargest; ++n) {
    const auto all = leaves(n);
    const TreeHash root = naive_root(all);
    for (std::uint64_t m = 1; m <= n; ++m) {
      SCOPED_TRACE(testing::Message() << "from " << m << " to " << n);
      const TreeHash old_root = naive_root(Leaves(all).first(m));
      auto proof = consistency_proof(all, m);
      ASSERT_TRUE(verify_consistency(m, old_root, n, root, proof));
      EXPECT_FALSE(verify_consistency(0, old_root, n, root, proof));
      EXPECT_FALSE(verify_consistency(m, flipped(old_root, m), n, root, proof));
      EXPECT_FALSE(verify_consistency(m, old_root, n, flipped(root, m), proof));
      EXPECT_EQ(verify_consistency(n, root, m, old_root, proof), m == n) << "backwards";
      for (std::size_t k = 0; k < proof.size(); ++k) {
        auto changed = proof;
        changed[k] = flipped(changed[k], m + k);
        EXPECT_FALSE(verify_consistency(m, old_root, n, root, changed)) << "hash " << k << " changed";
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(k));
        EXPECT_FALSE(verify_consistency(m, old_root, n, root, changed)) << "hash " << k << " left out";
      }
      proof.push_back(root);
      EXPECT_FALSE(verify_consistency(m, old_root, n, root, proof)) << "hash added";
    }
  }
}

// An old tree that was rewritten has no proof at all from the new one's leaves.
TEST(MerkleProofs, ARewrittenPastIsNotConsistent) {
  auto all = leaves(20);
  const TreeHash old_root = naive_root(Leaves(all).first(13));
  all[5] = flipped(all[5], 0);
  EXPECT_FALSE(verify_consistency(13, old_root, 20, naive_root(all), consistency_proof(all, 13)));
}

TEST(MerkleProofs, HugeSizesDoNotOverflow) {
  constexpr std::uint64_t kMax = ~std::uint64_t{0};
  const std::vector<TreeHash> proof(64);
  EXPECT_FALSE(verify_inclusion({}, kMax - 1, kMax, proof, {}));
  EXPECT_FALSE(verify_inclusion({}, kMax, kMax, proof, {}));
  EXPECT_FALSE(verify_consistency(kMax - 1, {}, kMax, {}, proof));
  EXPECT_FALSE(verify_consistency(std::uint64_t{1} << 63, {}, kMax, {}, proof));
}

TEST(MerkleProofs, OutOfRangeIsABug) {
  const auto all = leaves(3);
  EXPECT_THROW(inclusion_proof(all, 3), Error);
  EXPECT_THROW(inclusion_proof({}, 0), Error);
  EXPECT_THROW(consistency_proof(all, 0), Error);
  EXPECT_THROW(consistency_proof(all, 4), Error);
}

}  // namespace
}  // namespace casevault
