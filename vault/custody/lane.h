#pragma once
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "crypto/tls_server.h"
#include "vault/custody/custodian_thread.h"
#include "vault/custody/peer_limits.h"

namespace casevault {

class Connection;

/// What all connections of the service share.
struct ServiceParts {
  TlsServer& tls;
  PeerLimits& peers;
  CustodianThread& custodian;
  std::atomic<bool>& draining;  // every answer from now on is the last of its connection
};

/// One thread that does TLS, HTTP and the cheap checks for its share of the connections. A connection stays in its
/// lane.
class Lane {
 public:
  /// Starts the thread.
  explicit Lane(ServiceParts parts);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane();

  // Any thread.
  boost::asio::io_context& context() { return context_; }
  /// A socket of this lane's context whose peer was admitted.
  void adopt(ConnectionId id, boost::asio::ip::tcp::socket socket, const PeerAddress& peer);
  void deliver(std::vector<Reply> replies);
  /// Closes what is idle, lets what is being written go out; then the thread ends.
  void drain();
  /// The thread ends at once.
  void stop();
  void join();

  // The lane's own thread.
  const ServiceParts& parts() const { return parts_; }
  void remove(ConnectionId id) { connections_.erase(id); }

 private:
  void sweep();
  void run();

  ServiceParts parts_;
  boost::asio::io_context context_{1};
  boost::asio::steady_timer sweep_timer_;
  std::unordered_map<ConnectionId, std::shared_ptr<Connection>> connections_;
  std::thread thread_;
};

}  // namespace casevault
