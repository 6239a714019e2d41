#include "crypto/tlog_proof.h"

#include <bit>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/text_lines.h"

namespace casevault {
namespace {

constexpr std::string_view kFirstLine = "c2sp.org/tlog-proof@v1";

[[noreturn]] void bad_proof(const char* why) {
  throw Error(Errc::kDamaged, std::string("the log proof is damaged: ") + why);
}

// An empty one is refused: without data the line is left out.
Bytes take_extra(LineReader& lines) {
  const auto line = lines.next_after("extra ");
  if (!line) return {};
  auto bytes = from_base64(*line);
  if (!bytes || bytes->empty()) bad_proof("its extra data is malformed");
  return std::move(*bytes);
}

std::uint64_t take_index(LineReader& lines) {
  const auto line = lines.next_after("index ");
  const auto index = line ? from_decimal(*line) : std::nullopt;
  if (!index) bad_proof("its index is missing or malformed");
  return *index;
}

// The hashes and the empty line behind them.
std::vector<TreeHash> take_path(LineReader& lines) {
  std::vector<TreeHash> path;
  for (;;) {
    const auto line = lines.next();
    if (!line) bad_proof("it has no checkpoint");
    if (line->empty()) return path;
    const auto hash = array_from_base64<sizeof(TreeHash)>(*line);
    if (!hash) bad_proof("a hash is malformed");
    if (path.size() == kMaxInclusionPath) bad_proof("it has too many hashes");
    path.push_back(*hash);
  }
}

}  // namespace

// The climb of RFC 9162 section 2.1.3.2: a hash lies to the left where the node is a right child, or where it is the
// last of its level and has come up to be one. From right to left they are the binary digits of `index`, and so are the
// full subtrees of a tree of `index` leaves, which are joined from the right (section 2.1.1).
TreeHash root_before_leaf(std::uint64_t index, std::uint64_t size, std::span<const TreeHash> path) {
  require(index < size, "tlog proof: no such leaf");
  std::optional<TreeHash> root;
  std::uint64_t node = index, last = size - 1;
  for (const TreeHash& hash : path) {
    if ((node & 1) != 0 || node == last) {
      root = root ? merkle_node_hash(hash, *root) : hash;
      const int levels = std::countr_zero(node);  // a last node without a sibling goes up as it is
      if (levels < 64) {
        node >>= levels;
        last >>= levels;
      }
    }
    node >>= 1;
    last >>= 1;
  }
  return root.value_or(merkle_empty_root());
}

TlogProof::TlogProof(std::uint64_t index, std::vector<TreeHash> path, SignedNote checkpoint, Bytes extra)
    : index_(index), path_(std::move(path)), checkpoint_(std::move(checkpoint)), extra_(std::move(extra)) {
  require(path_.size() <= kMaxInclusionPath, "tlog proof: too many hashes");
  (void)Checkpoint::parse(checkpoint_.unverified_text());
}

TlogProof TlogProof::parse(std::string_view text) {
  if (text.size() > kMaxTlogProofSize) bad_proof("it is too long");
  LineReader lines(text);
  if (lines.next() != kFirstLine) bad_proof("it does not begin as a proof of version 1 does");
  auto extra = take_extra(lines);
  const auto index = take_index(lines);
  auto path = take_path(lines);
  return {index, std::move(path), SignedNote::parse(lines.rest()), std::move(extra)};
}

std::string TlogProof::encode() const {
  std::string text(kFirstLine);
  text += "\n";
  if (!extra_.empty()) text += "extra " + to_base64(extra_) + "\n";
  text += "index " + std::to_string(index_) + "\n";
  for (const TreeHash& hash : path_) text += to_base64(hash) + "\n";
  return text + "\n" + checkpoint_.encode();
}

ProvenLeaf TlogProof::verify(const TreeHash& leaf_hash, const NoteVerifier& log) const {
  auto checkpoint = verify_checkpoint(checkpoint_, log);
  if (!checkpoint) throw Error(Errc::kDamaged, "the log proof is not signed by " + log.name() + " with this key");
  if (!verify_inclusion(leaf_hash, index_, checkpoint->size, path_, checkpoint->root)) {
    throw Error(Errc::kDamaged, "the log proof does not hold: the entry is not in the log that was signed");
  }
  return {index_, root_before_leaf(index_, checkpoint->size, path_), std::move(*checkpoint)};
}

}  // namespace casevault
