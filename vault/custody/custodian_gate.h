#pragma once
#include <map>
#include <unordered_set>

#include "vault/custody/wire.h"

namespace casevault::custodian {

/// Whether a request is fresh and who signed it (docs/custody-protocol.md section 2). Nonces are kept in memory for as
/// long as their requests could come again: a request from before the process started is refused.
class RequestGate {
 public:
  /// `started` in Unix seconds.
  explicit RequestGate(std::int64_t started);

  /// Who signed it: still to be compared with who may. @throws Refusal 401: unsigned, signature, time.
  CheckedSignature check(const WireRequest& request, const WireSignature* signature, std::int64_t now) const;
  /// Takes the nonce, for requests of those who may: others get no memory here. `of`: the vault, or whoever else may
  /// make only so many requests in a short time, without those of others counting.
  /// @throws Refusal: 401 replay, 503 busy when there are too many of it to remember.
  void take_nonce(const ByteArray<16>& of, const CheckedSignature& signature, std::int64_t now);

 private:
  using Mark = ByteArray<16>;
  struct FirstBytes {
    std::size_t operator()(const Mark& mark) const { return read_be64(std::span(mark).first<8>()); }
  };
  using Marks = std::unordered_set<Mark, FirstBytes>;
  static constexpr std::size_t kMaxNonces = 100'000;  // of one vault
  static constexpr std::int64_t kSlot = 60;           // seconds of `created` that are forgotten together

  void forget_old(std::int64_t now);

  std::int64_t earliest_;  // requests created before are refused; only grows, also when the clock goes back
  ByteArray<32> salt_;     // so that nobody can choose marks that collide
  std::map<std::int64_t, std::map<ByteArray<16>, Marks>> slots_;
  std::map<ByteArray<16>, std::size_t> counts_;  // of marks, by vault
};

}  // namespace casevault::custodian
