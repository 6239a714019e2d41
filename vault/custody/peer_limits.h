#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "crypto/bytes.h"

namespace casevault {

/// How much a custodian's service takes from the network. The numbers are the service's own, not the protocol's.
struct ServiceLimits {
  std::size_t connections = 8000;              // in all
  std::size_t connections_of_a_peer = 200;     // from one address
  double requests_per_second_of_a_peer = 200;  // in the long run; a new connection counts as one
  double burst_of_a_peer = 400;                // at once
  bool loopback_is_many = false;               // what comes from this machine comes through Tor, and is not one peer
};

/// An IPv6 address, or an IPv4 address as `::ffff:a.b.c.d`. Of IPv6 only the first 64 bits count as the peer: whoever
/// has one address there has all of them.
using PeerAddress = ByteArray<16>;
PeerAddress peer_of(const PeerAddress& address);
bool is_loopback(const PeerAddress& address);
std::string peer_name(const PeerAddress& address);  // for the log

/// Counts connections, and requests by a token bucket, for each peer; forgets peers that it owes nothing. Any thread.
class PeerLimits {
 public:
  using Clock = std::chrono::steady_clock;
  explicit PeerLimits(const ServiceLimits& limits) : limits_(limits) {}

  enum class Verdict { kAdmitted, kFull, kTooManyOfOne, kTooFast };
  /// A new connection. What was admitted must `leave` once.
  Verdict admit(const PeerAddress& address, Clock::time_point now);
  void leave(const PeerAddress& address);
  /// One request; false when this peer sent too many.
  bool take(const PeerAddress& address, Clock::time_point now);
  std::size_t peers() const;

 private:
  struct Peer {
    std::size_t connections = 0;
    double tokens = 0;
    Clock::time_point counted{};  // when `tokens` was right
  };
  bool is_exempt(const PeerAddress& address) const { return limits_.loopback_is_many && is_loopback(address); }
  Peer& peer(const PeerAddress& address, Clock::time_point now);
  static bool take_token(Peer& peer);
  void forget_idle(Clock::time_point now);

  const ServiceLimits limits_;
  mutable std::mutex mutex_;
  std::size_t connections_ = 0;
  std::map<PeerAddress, Peer> peers_;
  std::size_t forget_at_ = 1024;  // peers, after which those that are owed nothing are looked for
};

}  // namespace casevault
