#include "vault/custody/lane.h"

#include <boost/asio/post.hpp>

#include "vault/custody/connection.h"

namespace casevault {
namespace {

constexpr std::chrono::milliseconds kSweep{250};  // how late a deadline may be noticed

}  // namespace

Lane::Lane(ServiceParts parts) : parts_(parts), sweep_timer_(context_), thread_([this] { run(); }) {}

Lane::~Lane() {
  stop();
  if (thread_.joinable()) thread_.join();
}

void Lane::run() {
  boost::asio::post(context_, [this] { sweep(); });
  context_.run();
  // Not in the destructor: a connection reports to peers and custodian when it goes.
  const auto left = std::exchange(connections_, {});
  for (const auto& [id, connection] : left) connection->close();
}

void Lane::adopt(ConnectionId id, boost::asio::ip::tcp::socket socket, const PeerAddress& peer) {
  auto connection = std::make_shared<Connection>(*this, id, std::move(socket), peer);
  boost::asio::post(context_, [this, id, connection] {
    connections_.emplace(id, connection);
    connection->start();
  });
}

void Lane::deliver(std::vector<Reply> replies) {
  boost::asio::post(context_, [this, replies = std::move(replies)]() mutable {
    for (Reply& reply : replies) {
      const auto found = connections_.find(reply.connection);
      if (found == connections_.end()) continue;  // gone
      const std::shared_ptr<Connection> connection = found->second;
      connection->answer(reply.answer);
    }
  });
}

void Lane::drain() {
  boost::asio::post(context_, [this] {
    const auto all = connections_;  // closing one removes it
    for (const auto& [id, connection] : all) connection->drain();
  });
}

void Lane::stop() { context_.stop(); }

void Lane::join() { thread_.join(); }

// One timer for all deadlines of a lane: cheaper in memory than a timer for each, and exact enough.
void Lane::sweep() {
  const auto now = Connection::Clock::now();
  std::vector<std::shared_ptr<Connection>> late;
  for (const auto& [id, connection] : connections_) {
    if (connection->deadline() <= now) late.push_back(connection);
  }
  for (const auto& connection : late) connection->run_out();
  if (parts_.draining && connections_.empty()) return;  // nothing keeps the thread any more
  sweep_timer_.expires_after(kSweep);
  sweep_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) sweep();
  });
}

}  // namespace casevault
