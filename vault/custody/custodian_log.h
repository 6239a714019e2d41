#pragma once
#include <array>
#include <string>
#include <vector>

#include "crypto/merkle.h"
#include "vault/custody/custodian_store.h"

namespace casevault::custodian {

/// One entry to be made (docs/custody-protocol.md section 5).
struct LogEntry {
  std::string_view action;
  std::optional<VaultName> vault = std::nullopt;
  std::optional<VerifyKey> device = std::nullopt;
  std::optional<CustodyId> id = std::nullopt;
  std::string detail = {};  // hashes and counts, nothing else
  std::string_view outcome = "ok";
};

/// The custodian's log: an RFC 6962 tree over the entries in the store. In memory are its edge, and the roots of all
/// full subtrees of 256 leaves and more: a quarter of a byte for each entry.
class Log {
 public:
  /// Reads and hashes every entry. @throws Error{kDamaged} when they are not what the store's head was made over.
  static Log open(Store& store, const SigningKey& key);

  /// How many bytes it has.
  std::size_t append(const LogEntry& entry, std::int64_t now_ms);
  LogHead head() const { return {frontier_.size(), frontier_.root()}; }
  const std::string& origin() const { return origin_; }
  /// A signed note over the head (C2SP tlog-checkpoint).
  std::string checkpoint() const;

  /// Of this entry in the tree of the head. @pre index < head().size. @throws Error{kDamaged} when it, or an entry that
  /// the proof is made of, is not what it was.
  std::vector<TreeHash> prove_inclusion(std::uint64_t index, std::string_view entry);
  /// @pre 0 < old_size <= head().size
  std::vector<TreeHash> prove_consistency(std::uint64_t old_size);

 private:
  static constexpr std::size_t kBlockLevel = 8;
  static constexpr std::uint64_t kBlock = std::uint64_t{1} << kBlockLevel;  // leaves
  static constexpr std::uint64_t kNoBlock = ~std::uint64_t{0};

  Log(Store& store, const SigningKey& key);
  void add(const TreeHash& leaf);
  std::uint64_t full_blocks() const { return frontier_.size() / kBlock; }
  TreeHash root_of(std::uint64_t begin, std::uint64_t size);
  const std::vector<TreeHash>& leaves_of_block(std::uint64_t block);

  Store& store_;
  const SigningKey& key_;
  std::string origin_;
  MerkleFrontier frontier_;
  std::vector<TreeHash> last_leaves_;            // of the block that is not full yet
  std::vector<std::vector<TreeHash>> subtrees_;  // by level from kBlockLevel on, left to right
  std::uint64_t cached_block_ = kNoBlock;
  std::vector<TreeHash> cached_leaves_;
};

}  // namespace casevault::custodian
