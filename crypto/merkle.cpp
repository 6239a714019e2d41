#include "crypto/merkle.h"

#include <algorithm>
#include <bit>

#include "crypto/error.h"

namespace casevault {
namespace {

// Leaves and inner nodes are hashed apart, so that neither can pass for the other.
constexpr std::byte kLeafPrefix{0};
constexpr std::byte kNodePrefix{1};

using Leaves = std::span<const TreeHash>;

// The left subtree of a tree of `size` leaves: the largest power of two below `size`. @pre size > 1
std::uint64_t split(std::uint64_t size) { return std::bit_floor(size - 1); }

TreeHash root_of(Leaves leaves) {
  if (leaves.size() == 1) return leaves[0];
  const std::uint64_t left = split(leaves.size());
  return merkle_node_hash(root_of(leaves.first(left)), root_of(leaves.subspan(left)));
}

// Where a proof has climbed to: the number of the node we hold and of the last node, on the same level.
struct Climb {
  std::uint64_t node;
  std::uint64_t last;

  void up() {
    node >>= 1;
    last >>= 1;
  }
  bool is_right_child() const { return (node & 1) != 0; }
  // A node at the right-hand edge without a sibling rises unhashed; the next hash of the proof is then on its left.
  bool joins_from_right() const { return is_right_child() || node == last; }
  void up_to_sibling() {
    while (!is_right_child() && node != 0) up();
  }
};

}  // namespace

TreeHash merkle_leaf_hash(ByteView leaf) { return sha256({ByteView(&kLeafPrefix, 1), leaf}); }
TreeHash merkle_node_hash(const TreeHash& left, const TreeHash& right) {
  return sha256({ByteView(&kNodePrefix, 1), left, right});
}
TreeHash merkle_empty_root() { return sha256(ByteView()); }

void MerkleFrontier::append(const TreeHash& leaf_hash) {
  TreeHash subtree = leaf_hash;
  // Like a carry in binary addition: each one at the low end of size_ is a full subtree as large as the one we hold.
  for (std::uint64_t size = size_; (size & 1) != 0; size >>= 1) {
    subtree = merkle_node_hash(subtrees_.back(), subtree);
    subtrees_.pop_back();
  }
  subtrees_.push_back(subtree);
  ++size_;
}

TreeHash MerkleFrontier::root() const {
  if (subtrees_.empty()) return merkle_empty_root();
  TreeHash root = subtrees_.back();
  for (std::size_t i = subtrees_.size() - 1; i-- > 0;) root = merkle_node_hash(subtrees_[i], root);
  return root;
}

std::vector<TreeHash> inclusion_proof(Leaves leaf_hashes, std::uint64_t index) {
  require(index < leaf_hashes.size(), "inclusion_proof: no such leaf");
  std::vector<TreeHash> proof;
  while (leaf_hashes.size() > 1) {
    const std::uint64_t left = split(leaf_hashes.size());
    const bool in_left = index < left;
    proof.push_back(root_of(in_left ? leaf_hashes.subspan(left) : leaf_hashes.first(left)));
    leaf_hashes = in_left ? leaf_hashes.first(left) : leaf_hashes.subspan(left);
    if (!in_left) index -= left;
  }
  std::ranges::reverse(proof);  // gathered from the root, wanted from the leaf
  return proof;
}

std::vector<TreeHash> consistency_proof(Leaves leaf_hashes, std::uint64_t old_size) {
  require(old_size > 0 && old_size <= leaf_hashes.size(), "consistency_proof: no such size");
  std::vector<TreeHash> proof;
  bool whole_old_tree = true;  // the verifier has the old root, so it is not part of the proof
  while (old_size < leaf_hashes.size()) {
    const std::uint64_t left = split(leaf_hashes.size());
    const bool in_left = old_size <= left;
    proof.push_back(root_of(in_left ? leaf_hashes.subspan(left) : leaf_hashes.first(left)));
    leaf_hashes = in_left ? leaf_hashes.first(left) : leaf_hashes.subspan(left);
    if (!in_left) {
      old_size -= left;
      whole_old_tree = false;
    }
  }
  if (!whole_old_tree) proof.push_back(root_of(leaf_hashes));
  std::ranges::reverse(proof);
  return proof;
}

// RFC 9162 section 2.1.3.2.
bool verify_inclusion(const TreeHash& leaf_hash, std::uint64_t index, std::uint64_t size, Leaves proof,
                      const TreeHash& root) {
  if (index >= size) return false;
  Climb at{index, size - 1};
  TreeHash hash = leaf_hash;
  for (const TreeHash& sibling : proof) {
    if (at.last == 0) return false;  // the proof is too long
    if (at.joins_from_right()) {
      hash = merkle_node_hash(sibling, hash);
      at.up_to_sibling();
    } else {
      hash = merkle_node_hash(hash, sibling);
    }
    at.up();
  }
  return at.last == 0 && hash == root;
}

bool verify_consistency(std::uint64_t old_size, const TreeHash& old_root, std::uint64_t new_size,
                        const TreeHash& new_root, Leaves proof) {
  if (old_size == 0 || old_size > new_size) return false;
  if (old_size == new_size) return proof.empty() && old_root == new_root;
  const bool old_is_full = std::has_single_bit(old_size);  // then the old root is where the climb starts
  if (!old_is_full && proof.empty()) return false;
  Climb at{old_size - 1, new_size - 1};
  while (at.is_right_child()) at.up();
  TreeHash old_hash = old_is_full ? old_root : proof[0];
  TreeHash new_hash = old_hash;
  for (const TreeHash& sibling : proof.subspan(old_is_full ? 0 : 1)) {
    if (at.last == 0) return false;
    if (at.joins_from_right()) {
      old_hash = merkle_node_hash(sibling, old_hash);
      new_hash = merkle_node_hash(sibling, new_hash);
      at.up_to_sibling();
    } else {
      new_hash = merkle_node_hash(new_hash, sibling);
    }
    at.up();
  }
  return at.last == 0 && old_hash == old_root && new_hash == new_root;
}

}  // namespace casevault
