#include "vault/custody/connection.h"

#include <array>

#include "vault/custody/order_page.h"
#include "vault/custody/service_log.h"

namespace casevault {
namespace {

using std::chrono::seconds;

constexpr seconds kHandshakeTime{10};
constexpr seconds kRequestTime{10};  // for all of a request, from its first byte
constexpr seconds kIdleTime{60};     // between two requests
constexpr seconds kWriteTime{30};    // for the peer to take an answer
constexpr seconds kLingerTime{2};
constexpr std::size_t kMaxLinger = 1u << 20;  // bytes
constexpr std::size_t kMaxAhead = 16384;      // bytes of later requests taken while one is at work

/// For what is read at one time, by one connection after the other.
std::span<std::byte> scratch() {
  thread_local std::array<std::byte, 16384> buffer;  // one TLS record
  return buffer;
}

bool is_order_page(const WireRequest& request) { return request.method == "GET" && request.path == "/order"; }

/// What needs no custodian; nullopt for what does.
std::optional<WireAnswer> answer_here(const WireRequest& request) {
  if (request.method == "GET" && request.path == "/healthz") return WireAnswer{.body = "ok\n", .type = "text/plain"};
  if (!request.path.starts_with("/v1/")) return error_answer(404, "unknown", "There is nothing of this name here.");
  return std::nullopt;
}

}  // namespace

Connection::Connection(Lane& lane, ConnectionId id, Socket socket, const PeerAddress& peer)
    : lane_(lane),
      id_(id),
      peer_(peer),
      socket_(std::move(socket)),
      tls_(lane.parts().tls.accept(socket_.native_handle())) {
  socket_.non_blocking(true);
  socket_.set_option(boost::asio::ip::tcp::no_delay(true));
  socket_.set_option(boost::asio::socket_base::keep_alive(true));
}

void Connection::start() {
  enter(State::kHandshake, kHandshakeTime);
  advance();
}

/// Goes on as far as it can without waiting.
void Connection::advance() {
  const auto self = shared_from_this();  // closing removes it from its lane
  Next next = Next::kGoOn;
  while (next == Next::kGoOn) {
    switch (state_) {
      case State::kHandshake:
        next = shake_hands();
        break;
      case State::kReading:
        next = parse();
        break;
      case State::kWriting:
        next = write_more();
        break;
      case State::kLingering:
        next = linger();
        break;
      case State::kWaiting:
      case State::kClosed:
        next = Next::kStop;
        break;
    }
  }
}

Connection::Next Connection::shake_hands() {
  const auto step = tls_.handshake();
  if (step != TlsConnection::Step::kDone) return wait_for(step);
  start_request();
  return Next::kGoOn;
}

void Connection::start_request() {
  in_request_ = false;
  enter(State::kReading, kIdleTime);
}

/// Reads what there is and looks whether it is a request.
Connection::Next Connection::parse() {
  if (!input_.empty() && !in_request_) {
    in_request_ = true;
    enter(State::kReading, kRequestTime);
  }
  switch (reader_.feed(input_)) {
    case HttpReader::Result::kIncomplete:
      return read_more();
    case HttpReader::Result::kContinue: {
      // So short that the socket takes it; where not, the connection is in no state to be kept.
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      tls_.write(as_bytes(kContinue));
      return Next::kGoOn;
    }
    case HttpReader::Result::kComplete:
      return take_request();
    case HttpReader::Result::kRefused:
      keep_alive_ = false;
      return send(reader_.refusal());
  }
  return Next::kStop;
}

Connection::Next Connection::read_more() {
  const auto got = tls_.read(scratch());
  if (got.step != TlsConnection::Step::kDone) return wait_for(got.step);
  input_.append(as_text(scratch().first(got.bytes)));
  return Next::kGoOn;
}

Connection::Next Connection::take_request() {
  HttpRequest request = reader_.take_request();
  if (input_.empty()) input_.shrink_to_fit();
  keep_alive_ = request.keep_alive && !lane_.parts().draining;
  if (!lane_.parts().peers.take(peer_, PeerLimits::Clock::now())) {
    service_log::abuse("too many requests", peer_name(peer_));
    return send(error_answer(429, "rate", "Too many requests from this address."));
  }
  if (is_order_page(request.wire)) return write(http_page(order_page_html(), order_page_csp(), keep_alive_));
  if (const auto answer = answer_here(request.wire)) return send(*answer);
  enter(State::kWaiting, std::chrono::hours(1));  // the custodian's thread ends it
  if (lane_.parts().custodian.submit(id_, std::move(request)) == CustodianThread::Taken::kBusy) {
    return send(error_answer(503, "busy", "The custodian has more to do than it can."));
  }
  await_readable();
  return Next::kStop;
}

void Connection::answer(const WireAnswer& answer) {
  if (state_ != State::kWaiting) return;
  send(answer);
  advance();
}

Connection::Next Connection::send(const WireAnswer& answer) {
  keep_alive_ = keep_alive_ && !lane_.parts().draining;
  return write(http_response(answer, keep_alive_));
}

Connection::Next Connection::write(std::string response) {
  output_ = std::move(response);
  written_ = 0;
  enter(State::kWriting, kWriteTime);
  return Next::kGoOn;
}

Connection::Next Connection::write_more() {
  const auto put = tls_.write(as_bytes(std::string_view(output_).substr(written_)));
  if (put.step != TlsConnection::Step::kDone) return wait_for(put.step);
  written_ += put.bytes;
  if (written_ < output_.size()) return Next::kGoOn;
  output_ = {};
  if (keep_alive_) {
    start_request();
    return Next::kGoOn;
  }
  tls_.close();
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  enter(State::kLingering, kLingerTime);
  return Next::kGoOn;
}

/// Closing while the peer still sends would reset the connection, and it might never see the answer (RFC 9112 section
/// 9.6): so its bytes are thrown away for a moment, until it closes too.
Connection::Next Connection::linger() {
  boost::system::error_code error;
  const auto room = scratch();
  const std::size_t got = socket_.read_some(boost::asio::buffer(room.data(), room.size()), error);
  if (error == boost::asio::error::would_block) return wait_for(TlsConnection::Step::kWantRead);
  lingered_ += got;
  if (!error && lingered_ < kMaxLinger) return Next::kGoOn;
  close();
  return Next::kStop;
}

/// While a request is with the custodian: notices that the peer went, and takes a little of what it sends ahead.
void Connection::watch_peer() {
  while (input_.size() < kMaxAhead) {
    const auto got = tls_.read(scratch());
    if (got.step == TlsConnection::Step::kWantRead) return await_readable();
    if (got.step != TlsConnection::Step::kDone) return close();
    input_.append(as_text(scratch().first(got.bytes)));
  }
}

void Connection::run_out() {
  const auto self = shared_from_this();
  if (state_ != State::kReading || !in_request_) return close();
  service_log::abuse("a request that took too long", peer_name(peer_));
  keep_alive_ = false;
  send(error_answer(408, "slow", "The request took longer than 10 seconds."));
  advance();
}

void Connection::drain() {
  if (state_ != State::kWriting && state_ != State::kLingering) close();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  const auto self = shared_from_this();
  if (state_ == State::kWaiting) lane_.parts().custodian.forget(id_);
  state_ = State::kClosed;
  boost::system::error_code ignored;
  socket_.close(ignored);
  lane_.parts().peers.leave(peer_);
  lane_.remove(id_);
}

void Connection::enter(State state, std::chrono::milliseconds limit) {
  state_ = state;
  deadline_ = Clock::now() + limit;
}

Connection::Next Connection::wait_for(TlsConnection::Step step) {
  switch (step) {
    case TlsConnection::Step::kWantRead:
      await_readable();
      break;
    case TlsConnection::Step::kWantWrite:
      await_writable();
      break;
    default:
      close();
  }
  return Next::kStop;
}

// At most one wait of each kind is out, whatever the state it was asked for in.
void Connection::await_readable() {
  if (std::exchange(await_readable_, true)) return;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
    self->await_readable_ = false;
    if (error) return self->close();
    self->state_ == State::kWaiting ? self->watch_peer() : self->advance();
  });
}

void Connection::await_writable() {
  if (std::exchange(await_writable_, true)) return;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
    self->await_writable_ = false;
    error ? self->close() : self->advance();
  });
}

}  // namespace casevault
