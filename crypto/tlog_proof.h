#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "crypto/checkpoint.h"

namespace casevault {

/// C2SP transparency log proofs (https://c2sp.org/tlog-proof, version 1): that one leaf is in a log, for those who have
/// nothing but the log's key. Files are named *.tlog-proof.

inline constexpr std::size_t kMaxTlogProofSize = 1u << 20;  // bytes in all; the specification sets no limit
inline constexpr std::size_t kMaxInclusionPath = 64;        // hashes

/// The root of the tree of the leaves before leaf `index`: the hashes of the path that lie to the left are its full
/// subtrees. It is authenticated just as the path is. @pre the path leads from leaf `index` to the root of a tree of
/// `size` leaves: verify_inclusion said so.
TreeHash root_before_leaf(std::uint64_t index, std::uint64_t size, std::span<const TreeHash> path);

/// What a proof proves.
struct ProvenLeaf {
  std::uint64_t index = 0;  // counts from 0
  TreeHash root_before{};   // of the leaves before it: what a log entry that cites the tree before itself must cite
  Checkpoint checkpoint;    // signed by the log
};

class TlogProof {
 public:
  /// `path` as inclusion_proof gives it; `extra` is carried along and authenticated by nothing; empty: none.
  /// @pre at most kMaxInclusionPath hashes. @throws Error{kDamaged} when the note is no checkpoint.
  TlogProof(std::uint64_t index, std::vector<TreeHash> path, SignedNote checkpoint, Bytes extra = {});
  /// Strict. What parses encodes back to the same bytes. @throws Error{kDamaged}
  static TlogProof parse(std::string_view text);
  std::string encode() const;

  std::uint64_t index() const { return index_; }
  /// Authenticated by nothing: believe of it only what `verify` confirms (the leaf), or what is signed in itself.
  const Bytes& unauthenticated_extra() const { return extra_; }
  /// With all signatures, those of witnesses too, which `verify` does not look at.
  const SignedNote& checkpoint() const { return checkpoint_; }

  /// That the leaf is in the log under the checkpoint of this proof, and that `log` signed the checkpoint. It says
  /// nothing of when, nor whether others were shown the same log: that takes witnesses.
  /// @throws Error{kDamaged} saying what does not hold: the signature, the origin, or the inclusion.
  ProvenLeaf verify(const TreeHash& leaf_hash, const NoteVerifier& log) const;

 private:
  std::uint64_t index_;
  std::vector<TreeHash> path_;
  SignedNote checkpoint_;
  Bytes extra_;
};

}  // namespace casevault
