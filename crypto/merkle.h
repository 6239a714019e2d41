#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/hash.h"

namespace casevault {

/// Merkle tree hashes of RFC 6962 section 2.1 (RFC 9162 section 2.1), SHA-256.
using TreeHash = Sha256Digest;

TreeHash merkle_leaf_hash(ByteView leaf);                                // SHA-256(0x00 ‖ leaf)
TreeHash merkle_node_hash(const TreeHash& left, const TreeHash& right);  // SHA-256(0x01 ‖ left ‖ right)
TreeHash merkle_empty_root();                                            // SHA-256 of nothing

/// The right-hand edge of a growing tree: at most 64 hashes, whatever the number of leaves.
class MerkleFrontier {
 public:
  void append(const TreeHash& leaf_hash);
  std::uint64_t size() const { return size_; }  // leaves
  TreeHash root() const;

 private:
  std::uint64_t size_ = 0;
  std::vector<TreeHash> subtrees_;  // roots of the full subtrees, largest first
};

/// Proof for leaf `index` in the tree of `leaf_hashes` (RFC 6962 section 2.1.1). @pre index < leaf_hashes.size()
std::vector<TreeHash> inclusion_proof(std::span<const TreeHash> leaf_hashes, std::uint64_t index);
/// Proof that the tree of the first `old_size` leaves is a prefix (section 2.1.2).
/// @pre 0 < old_size <= leaf_hashes.size()
std::vector<TreeHash> consistency_proof(std::span<const TreeHash> leaf_hashes, std::uint64_t old_size);

[[nodiscard]] bool verify_inclusion(const TreeHash& leaf_hash, std::uint64_t index, std::uint64_t size,
                                    std::span<const TreeHash> proof, const TreeHash& root);
/// RFC 9162 section 2.1.4.2. An `old_size` of 0 is refused: nothing could be checked.
[[nodiscard]] bool verify_consistency(std::uint64_t old_size, const TreeHash& old_root, std::uint64_t new_size,
                                      const TreeHash& new_root, std::span<const TreeHash> proof);

}  // namespace casevault
