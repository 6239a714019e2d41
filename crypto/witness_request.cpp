#include "crypto/witness_request.h"

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/text_lines.h"

namespace casevault {
namespace {

[[noreturn]] void bad_request(const char* why) {
  throw Error(Errc::kDamaged, std::string("the request to the witness is malformed: ") + why);
}

std::uint64_t take_old_size(LineReader& lines) {
  const auto line = lines.next_after("old ");
  const auto size = line ? from_decimal(*line) : std::nullopt;
  if (!size) bad_request("its old size is missing or malformed");
  return *size;
}

// The hashes and the empty line behind them.
std::vector<TreeHash> take_proof(LineReader& lines) {
  std::vector<TreeHash> proof;
  for (;;) {
    const auto line = lines.next();
    if (!line) bad_request("it has no checkpoint");
    if (line->empty()) return proof;
    const auto hash = array_from_base64<sizeof(TreeHash)>(*line);
    if (!hash) bad_request("a hash is malformed");
    if (proof.size() == kMaxConsistencyProof) bad_request("it has too many hashes");
    proof.push_back(*hash);
  }
}

}  // namespace

WitnessRequest::WitnessRequest(std::uint64_t old_size, std::vector<TreeHash> proof, SignedNote checkpoint)
    : old_size_(old_size),
      proof_(std::move(proof)),
      note_(std::move(checkpoint)),
      checkpoint_(Checkpoint::parse(note_.unverified_text())) {
  require(proof_.size() <= kMaxConsistencyProof, "witness request: too many hashes");
  if (old_size_ > checkpoint_.size) bad_request("its old size is larger than its checkpoint");
}

WitnessRequest WitnessRequest::parse(std::string_view body) {
  if (body.size() > kMaxWitnessRequestSize) bad_request("it is too long");
  LineReader lines(body);
  const auto old_size = take_old_size(lines);
  auto proof = take_proof(lines);
  return {old_size, std::move(proof), SignedNote::parse(lines.rest())};
}

std::string WitnessRequest::encode() const {
  std::string body = "old " + std::to_string(old_size_) + "\n";
  for (const TreeHash& hash : proof_) body += to_base64(hash) + "\n";
  return body + "\n" + note_.encode();
}

bool WitnessRequest::is_consistent_with(const TreeHash& old_root) const {
  if (checkpoint_.size == 0 && checkpoint_.root != merkle_empty_root()) return false;
  if (old_size_ == 0) return proof_.empty();
  return verify_consistency(old_size_, old_root, checkpoint_.size, checkpoint_.root, proof_);
}

}  // namespace casevault
