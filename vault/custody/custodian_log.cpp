#include "vault/custody/custodian_log.h"

#include <algorithm>
#include <bit>

#include "crypto/checkpoint.h"
#include "crypto/error.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr std::uint64_t kReadAtOnce = 1024;  // entries

[[noreturn]] void changed() { throw Error(Errc::kDamaged, "store.db: an entry of the log was changed"); }

std::string hex_or_empty(const auto& bytes) { return bytes ? to_hex(*bytes) : std::string(); }

std::string encode(const LogEntry& entry, std::uint64_t index, std::int64_t now_ms) {
  const nlohmann::json json = {
      {"action", entry.action},       {"at", now_ms},
      {"detail", entry.detail},       {"device", entry.device ? to_hex(entry.device->bytes) : std::string()},
      {"id", hex_or_empty(entry.id)}, {"index", index},
      {"outcome", entry.outcome},     {"vault", entry.vault ? to_hex(entry.vault->id) : std::string()}};
  return json.dump();
}

TreeHash root_over(const std::vector<TreeHash>& leaves) {
  MerkleFrontier tree;
  for (const auto& leaf : leaves) tree.append(leaf);
  return tree.root();
}

// The left subtree of a tree of `size` leaves (RFC 6962 section 2.1). @pre size > 1
std::uint64_t split(std::uint64_t size) { return std::bit_floor(size - 1); }

}  // namespace

Log::Log(Store& store, const SigningKey& key)
    : store_(store), key_(key), origin_("casevault-custodian/" + to_hex(ByteView(key.verify_key().bytes).first(16))) {}

Log Log::open(Store& store, const SigningKey& key) {
  Log log(store, key);
  const auto head = store.log_head();
  for (std::uint64_t begin = 0; begin < head.size; begin += kReadAtOnce) {
    for (const auto& entry : store.log_entries(begin, std::min(head.size, begin + kReadAtOnce))) {
      log.add(merkle_leaf_hash(as_bytes(entry)));
    }
  }
  if (log.frontier_.root() != head.root) changed();
  return log;
}

std::size_t Log::append(const LogEntry& entry, std::int64_t now_ms) {
  const auto text = encode(entry, frontier_.size(), now_ms);
  const auto key = entry.vault ? std::optional(entry.vault->key) : std::nullopt;
  store_.append_log(frontier_.size(), key, now_ms, text);
  add(merkle_leaf_hash(as_bytes(text)));
  return text.size();
}

void Log::add(const TreeHash& leaf) {
  frontier_.append(leaf);
  last_leaves_.push_back(leaf);
  if (last_leaves_.size() < kBlock) return;
  TreeHash root = root_over(last_leaves_);
  last_leaves_.clear();
  for (std::size_t level = 0;; ++level) {  // a carry, as in MerkleFrontier
    if (level == subtrees_.size()) subtrees_.emplace_back();
    auto& row = subtrees_[level];
    row.push_back(root);
    if (row.size() % 2 != 0) return;
    root = merkle_node_hash(row[row.size() - 2], row.back());
  }
}

std::string Log::checkpoint() const {
  return sign_checkpoint({origin_, frontier_.size(), frontier_.root(), {}}, key_).encode();
}

// A full subtree above the blocks is at hand; others are split as RFC 6962 does.
TreeHash Log::root_of(std::uint64_t begin, std::uint64_t size) {
  if (size == 1) return leaves_of_block(begin / kBlock).at(begin % kBlock);
  const auto level = static_cast<std::size_t>(std::countr_zero(size));
  if (std::has_single_bit(size) && level >= kBlockLevel && level - kBlockLevel < subtrees_.size()) {
    const auto& row = subtrees_[level - kBlockLevel];
    if ((begin >> level) < row.size()) return row[begin >> level];
  }
  const auto left = split(size);
  const auto left_root = root_of(begin, left);
  return merkle_node_hash(left_root, root_of(begin + left, size - left));
}

// Read back from the store, and compared with the root of the block in memory.
const std::vector<TreeHash>& Log::leaves_of_block(std::uint64_t block) {
  if (block == full_blocks()) return last_leaves_;
  if (block == cached_block_) return cached_leaves_;
  cached_block_ = kNoBlock;
  cached_leaves_.clear();
  for (const auto& entry : store_.log_entries(block * kBlock, (block + 1) * kBlock)) {
    cached_leaves_.push_back(merkle_leaf_hash(as_bytes(entry)));
  }
  if (root_over(cached_leaves_) != subtrees_.at(0).at(block)) changed();
  cached_block_ = block;
  return cached_leaves_;
}

std::vector<TreeHash> Log::prove_inclusion(std::uint64_t index, std::string_view entry) {
  require(index < frontier_.size(), "no such entry");
  if (leaves_of_block(index / kBlock).at(index % kBlock) != merkle_leaf_hash(as_bytes(entry))) changed();
  std::vector<TreeHash> proof;
  std::uint64_t begin = 0;
  std::uint64_t size = frontier_.size();
  while (size > 1) {
    const auto left = split(size);
    const bool in_left = index < begin + left;
    proof.push_back(in_left ? root_of(begin + left, size - left) : root_of(begin, left));
    begin += in_left ? 0 : left;
    size = in_left ? left : size - left;
  }
  std::ranges::reverse(proof);
  return proof;
}

std::vector<TreeHash> Log::prove_consistency(std::uint64_t old_size) {
  require(old_size > 0 && old_size <= frontier_.size(), "no such size");
  std::vector<TreeHash> proof;
  std::uint64_t begin = 0;
  std::uint64_t size = frontier_.size();
  bool whole_old_tree = true;
  while (old_size < begin + size) {
    const auto left = split(size);
    const bool in_left = old_size <= begin + left;
    proof.push_back(in_left ? root_of(begin + left, size - left) : root_of(begin, left));
    if (!in_left) whole_old_tree = false;
    begin += in_left ? 0 : left;
    size = in_left ? left : size - left;
  }
  if (!whole_old_tree) proof.push_back(root_of(begin, size));
  std::ranges::reverse(proof);
  return proof;
}

}  // namespace casevault::custodian
