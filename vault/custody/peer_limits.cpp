#include "vault/custody/peer_limits.h"

#include <arpa/inet.h>

#include <algorithm>

namespace casevault {
namespace {

constexpr std::size_t kMappedPrefix = 12;  // bytes of ::ffff:0:0/96
constexpr std::size_t kNetworkPrefix = 8;  // bytes of an IPv6 network that one customer gets

bool is_ipv4(const PeerAddress& address) {
  static constexpr std::array<std::uint8_t, kMappedPrefix> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::ranges::equal(kMapped, std::span(address).first<kMappedPrefix>(), {},
                            [](std::uint8_t byte) { return std::byte{byte}; });
}

}  // namespace

PeerAddress peer_of(const PeerAddress& address) {
  PeerAddress peer = address;
  if (!is_ipv4(address)) std::fill(peer.begin() + kNetworkPrefix, peer.end(), std::byte{0});
  return peer;
}

bool is_loopback(const PeerAddress& address) {
  static constexpr PeerAddress kLoopback6 = {
      std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
      std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{1}};
  return address == kLoopback6 || (is_ipv4(address) && address[kMappedPrefix] == std::byte{127});
}

std::string peer_name(const PeerAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool short_form = is_ipv4(address);
  const void* bytes = short_form ? address.data() + kMappedPrefix : address.data();
  const char* written = inet_ntop(short_form ? AF_INET : AF_INET6, bytes, text.data(), text.size());
  return written ? written : "unknown";
}

PeerLimits::Verdict PeerLimits::admit(const PeerAddress& address, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (connections_ >= limits_.connections) return Verdict::kFull;
  if (!is_exempt(address)) {
    Peer& one = peer(address, now);
    if (one.connections >= limits_.connections_of_a_peer) return Verdict::kTooManyOfOne;
    if (!take_token(one)) return Verdict::kTooFast;
    ++one.connections;
  }
  ++connections_;
  return Verdict::kAdmitted;
}

void PeerLimits::leave(const PeerAddress& address) {
  const std::lock_guard lock(mutex_);
  --connections_;
  if (!is_exempt(address)) --peers_.at(peer_of(address)).connections;
}

bool PeerLimits::take(const PeerAddress& address, Clock::time_point now) {
  if (is_exempt(address)) return true;
  const std::lock_guard lock(mutex_);
  return take_token(peer(address, now));
}

std::size_t PeerLimits::peers() const {
  const std::lock_guard lock(mutex_);
  return peers_.size();
}

PeerLimits::Peer& PeerLimits::peer(const PeerAddress& address, Clock::time_point now) {
  if (peers_.size() >= forget_at_) forget_idle(now);
  const auto [found, is_new] = peers_.try_emplace(peer_of(address));
  Peer& one = found->second;
  if (is_new) {
    one = {.tokens = limits_.burst_of_a_peer, .counted = now};
  } else {
    const std::chrono::duration<double> passed = now - one.counted;
    one.tokens = std::min(limits_.burst_of_a_peer,
                          one.tokens + std::max(0.0, passed.count()) * limits_.requests_per_second_of_a_peer);
    one.counted = now;
  }
  return one;
}

bool PeerLimits::take_token(Peer& peer) {
  if (peer.tokens < 1) return false;
  peer.tokens -= 1;
  return true;
}

// Doubling what is let grow keeps this cheap however many peers there are; a full bucket needs no memory.
void PeerLimits::forget_idle(Clock::time_point now) {
  const auto refill = std::chrono::duration<double>(limits_.burst_of_a_peer / limits_.requests_per_second_of_a_peer);
  std::erase_if(
      peers_, [&](const auto& entry) { return entry.second.connections == 0 && now - entry.second.counted >= refill; });
  forget_at_ = std::max<std::size_t>(1024, peers_.size() * 2);
}

}  // namespace casevault
