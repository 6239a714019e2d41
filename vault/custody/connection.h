#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "vault/custody/http.h"
#include "vault/custody/lane.h"

namespace casevault {

/// One TLS connection of a custodian's service, from the handshake to its end, one request at a time. Everything here
/// runs on the thread of its lane. While it waits it holds no buffers: thousands of long polls must be cheap.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;
  using Socket = boost::asio::ip::tcp::socket;
  /// @throws boost::system::system_error when the peer is gone already.
  Connection(Lane& lane, ConnectionId id, Socket socket, const PeerAddress& peer);

  void start();
  /// The custodian's answer to the request that was submitted.
  void answer(const WireAnswer& answer);
  /// When run_out is due.
  Clock::time_point deadline() const { return deadline_; }
  void run_out();
  /// Ends as soon as nothing is being written.
  void drain();
  void close();

 private:
  enum class State { kHandshake, kReading, kWaiting, kWriting, kLingering, kClosed };
  enum class Next { kGoOn, kStop };

  void advance();
  Next shake_hands();
  Next read_more();
  Next parse();
  Next take_request();
  Next write_more();
  Next linger();
  void watch_peer();

  void start_request();
  Next send(const WireAnswer& answer);
  Next write(std::string response);
  void enter(State state, std::chrono::milliseconds limit);
  Next wait_for(TlsConnection::Step step);
  void await_readable();
  void await_writable();

  Lane& lane_;
  const ConnectionId id_;
  const PeerAddress peer_;
  Socket socket_;
  TlsConnection tls_;
  State state_ = State::kHandshake;
  Clock::time_point deadline_{};
  HttpReader reader_;
  std::string input_;            // read and not yet parsed
  std::string output_;           // the response that is being written
  std::size_t written_ = 0;      // bytes of it
  std::size_t lingered_ = 0;     // bytes thrown away since the last answer
  bool in_request_ = false;      // its first byte came
  bool keep_alive_ = false;      // after the request at hand
  bool await_readable_ = false;  // a wait for the socket is out
  bool await_writable_ = false;
};

}  // namespace casevault
