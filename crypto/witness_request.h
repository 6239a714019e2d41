#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "crypto/checkpoint.h"
#include "crypto/merkle.h"
#include "crypto/signed_note.h"

namespace casevault {

/// The body of the add-checkpoint request of C2SP witnesses (https://c2sp.org/tlog-witness): a line `old N`, the proof,
/// an empty line, and the checkpoint as a signed note.

inline constexpr std::size_t kMaxWitnessRequestSize = 65'536;  // bytes; the specification sets no limit
inline constexpr std::size_t kMaxConsistencyProof = 63;        // hashes

class WitnessRequest {
 public:
  /// `proof` leads from the tree of `old_size` leaves to the checkpoint's, as consistency_proof gives it; empty for an
  /// `old_size` of 0. @pre at most kMaxConsistencyProof hashes.
  /// @throws Error{kDamaged} when the note is no checkpoint, or one of fewer leaves than `old_size`.
  WitnessRequest(std::uint64_t old_size, std::vector<TreeHash> proof, SignedNote checkpoint);
  /// Strict. What parses encodes back to the same bytes. @throws Error{kDamaged}, to be answered by status 400.
  static WitnessRequest parse(std::string_view body);
  std::string encode() const;

  /// To be compared with the checkpoint that the witness remembers: another size is answered by status 409.
  std::uint64_t old_size() const { return old_size_; }
  /// As the sender wrote it: it says whose log it claims to be, and nothing more until verify_checkpoint was asked.
  const Checkpoint& unverified_checkpoint() const { return checkpoint_; }
  const SignedNote& note() const { return note_; }

  /// Whether the checkpoint's tree continues the one of `old_size` leaves with the root that the witness remembers; if
  /// not, status 422. An old size of 0 has no root (`old_root` is not looked at) and takes an empty proof; a checkpoint
  /// of no leaves must have the root of the empty tree. It does not look at signatures.
  [[nodiscard]] bool is_consistent_with(const TreeHash& old_root) const;

 private:
  std::uint64_t old_size_;
  std::vector<TreeHash> proof_;
  SignedNote note_;
  Checkpoint checkpoint_;  // the note's text
};

}  // namespace casevault
