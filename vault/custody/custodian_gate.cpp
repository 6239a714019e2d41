#include "vault/custody/custodian_gate.h"

#include "crypto/random.h"
#include "vault/custody/custodian_refusal.h"

namespace casevault::custodian {

RequestGate::RequestGate(std::int64_t started) : earliest_(started), salt_(random_array<32>()) {}

CheckedSignature RequestGate::check(const WireRequest& request, const WireSignature* signature,
                                    std::int64_t now) const {
  if (signature == nullptr) refuse(401, "unsigned", "this request has to be signed");
  const auto checked = check_request(request, *signature);
  if (!checked) refuse(401, "signature", "the request is not signed as it should be");
  const bool is_fresh = checked->created >= now - kMaxWireClockSkew && checked->created <= now + kMaxWireClockSkew;
  if (!is_fresh || checked->created < earliest_)
    throw Refusal{401, "time", "the request was signed at another time than now", now};
  return *checked;
}

void RequestGate::take_nonce(const ByteArray<16>& of, const CheckedSignature& signature, std::int64_t now) {
  forget_old(now);
  const auto mark = blake2b_128({salt_, signature.key.bytes, signature.nonce});
  auto& marks = slots_[signature.created / kSlot][of];
  if (marks.contains(mark)) refuse(401, "replay", "this very request was here already");
  auto& count = counts_[of];
  if (count >= kMaxNonces) refuse(503, "busy", "too many requests of this vault in a short time");
  marks.insert(mark);
  ++count;
}

void RequestGate::forget_old(std::int64_t now) {
  while (!slots_.empty()) {
    const auto oldest = slots_.begin();
    const std::int64_t end = (oldest->first + 1) * kSlot;  // the first second after it
    if (end > now - kMaxWireClockSkew) return;
    earliest_ = std::max(earliest_, end);
    for (const auto& [of, marks] : oldest->second) {
      if ((counts_[of] -= marks.size()) == 0) counts_.erase(of);
    }
    slots_.erase(oldest);
  }
}

}  // namespace casevault::custodian
