#include "vault/custody/service.h"

#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "vault/custody/lane.h"
#include "vault/custody/sandbox.h"
#include "vault/custody/service_log.h"

namespace casevault {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::milliseconds kAfterNoDescriptor{100};
constexpr std::size_t kOtherDescriptors = 64;  // the store, the log, epoll and the like
constexpr unsigned kMostLanes = 4;
constexpr unsigned long kMaxPort = 65'535;

Error cannot_listen(const std::string& address, const error_code& error) {
  const bool taken = error == boost::asio::error::address_in_use;
  const bool refused = error == boost::asio::error::access_denied;
  const Errc code = taken ? Errc::kBusy : refused ? Errc::kNotAllowed : Errc::kUsage;
  return {code, "cannot listen on " + address + ": " + error.message()};
}

/// The endpoint of HOST:PORT.
tcp::endpoint endpoint_of(boost::asio::io_context& context, const std::string& address) {
  const std::size_t colon = std::min(address.rfind(':'), address.size());
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string port = colon < address.size() ? address.substr(colon + 1) : "";
  const bool is_port = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == port.npos &&
                       std::stoul(port) <= kMaxPort;
  if (host.empty() || !is_port)
    throw Error(Errc::kUsage, "'" + address + "' is not HOST:PORT",
                "as in --listen 127.0.0.1:8443 or --listen [::]:8443");
  error_code error;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(host, port, tcp::resolver::numeric_service | tcp::resolver::passive, error);
  if (error) throw cannot_listen(address, error);
  return *found.begin();
}

tcp::acceptor listen_on(boost::asio::io_context& context, const std::string& address) {
  const tcp::endpoint endpoint = endpoint_of(context, address);
  tcp::acceptor acceptor(context);
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) throw cannot_listen(address, error);
  return acceptor;
}

std::string to_text(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

ServeSettings with_address(ServeSettings settings, const tcp::endpoint& endpoint) {
  if (settings.address.empty() && !endpoint.address().is_unspecified()) settings.address = to_text(endpoint);
  return settings;
}

PeerAddress address_of(const tcp::endpoint& endpoint) {
  const auto address = endpoint.address();
  const auto bytes = address.is_v6()
                         ? address.to_v6().to_bytes()
                         : boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4()).to_bytes();
  return to_array<16>(std::as_bytes(std::span(bytes)));
}

/// As many descriptors as the system lets us have, and no more connections than that.
ServiceLimits fit_to_descriptors(ServiceLimits limits) {
  rlimit files = {};
  require(getrlimit(RLIMIT_NOFILE, &files) == 0, "the limit of open files cannot be asked for");
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const std::size_t most = std::max<std::size_t>(files.rlim_max, 2 * kOtherDescriptors) - kOtherDescriptors;
  if (most < limits.connections) {
    service_log::warning("only " + std::to_string(most) + " connections: the limit of open files is low");
    limits.connections = most;
  }
  return limits;
}

const char* reason_of(PeerLimits::Verdict verdict) {
  switch (verdict) {
    case PeerLimits::Verdict::kAdmitted:
      return "";
    case PeerLimits::Verdict::kFull:
      return "no connection is left for this one";
    case PeerLimits::Verdict::kTooManyOfOne:
      return "too many connections of one address";
    case PeerLimits::Verdict::kTooFast:
      return "too many new connections of one address";
  }
  return "";
}

class Service {
 public:
  Service(boost::asio::io_context& context, tcp::acceptor& acceptor, boost::asio::signal_set& signals,
          Custodian custodian, const ServiceLimits& limits, const Environment& environment);
  /// Until a signal came and everything was answered. @throws what ended the custodian's thread.
  void run();

 private:
  void accept();
  void take(tcp::socket socket);
  void drain();
  void end();

  boost::asio::io_context& context_;
  tcp::acceptor& acceptor_;
  boost::asio::signal_set& signals_;
  boost::asio::steady_timer pause_;
  TlsServer tls_;
  PeerLimits peers_;
  std::atomic<bool> draining_ = false;
  CustodianThread custodian_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  ConnectionId next_ = 0;
  std::exception_ptr failure_;
};

Service::Service(boost::asio::io_context& context, tcp::acceptor& acceptor, boost::asio::signal_set& signals,
                 Custodian custodian, const ServiceLimits& limits, const Environment& environment)
    : context_(context),
      acceptor_(acceptor),
      signals_(signals),
      pause_(context),
      tls_(custodian.tls_private_key(), custodian.identity().tls_certificate),
      peers_(limits),
      custodian_(
          std::move(custodian), environment.now_ms,
          [this](std::vector<Reply> replies) {
            std::vector<std::vector<Reply>> by_lane(lanes_.size());
            for (Reply& reply : replies) by_lane[reply.connection % lanes_.size()].push_back(std::move(reply));
            for (std::size_t i = 0; i < lanes_.size(); ++i) {
              if (!by_lane[i].empty()) lanes_[i]->deliver(std::move(by_lane[i]));
            }
          },
          [this] { boost::asio::post(context_, [this] { end(); }); }) {
  const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1u, kMostLanes);
  for (unsigned i = 0; i < count; ++i) {
    lanes_.push_back(std::make_unique<Lane>(ServiceParts{tls_, peers_, custodian_, draining_}));
  }
}

void Service::run() {
  signals_.async_wait([this](const error_code& error, int) {
    if (!error) drain();
  });
  accept();
  const auto work = boost::asio::make_work_guard(context_);
  context_.run();
  // What came at the last moment holds a socket of a lane, and must not outlive it.
  context_.restart();
  context_.poll();
  if (failure_) std::rethrow_exception(failure_);
}

void Service::accept() {
  Lane& lane = *lanes_[next_ % lanes_.size()];
  acceptor_.async_accept(lane.context(), [this](const error_code& error, tcp::socket socket) {
    if (draining_) return;
    if (!error) {
      take(std::move(socket));
      return accept();
    }
    // No descriptor or no memory is left: some may be soon. A peer that went before it was taken costs no more than
    // that.
    pause_.expires_after(kAfterNoDescriptor);
    pause_.async_wait([this](const error_code& stopped) {
      if (!stopped && !draining_) accept();
    });
  });
}

void Service::take(tcp::socket socket) {
  error_code gone;
  const tcp::endpoint endpoint = socket.remote_endpoint(gone);
  if (gone) return;
  const PeerAddress peer = address_of(endpoint);
  const auto verdict = peers_.admit(peer, PeerLimits::Clock::now());
  if (verdict != PeerLimits::Verdict::kAdmitted) return service_log::abuse(reason_of(verdict), peer_name(peer));
  const ConnectionId id = next_++;
  lanes_[id % lanes_.size()]->adopt(id, std::move(socket), peer);
}

void Service::drain() {
  service_log::info("stopping");
  draining_ = true;
  acceptor_.close();
  pause_.cancel();
  custodian_.drain();
}

/// The custodian's thread has ended: everything that may be answered is with the lanes.
void Service::end() {
  draining_ = true;
  try {
    custodian_.join();
    for (const auto& lane : lanes_) lane->drain();
  } catch (...) {
    failure_ = std::current_exception();
    for (const auto& lane : lanes_) lane->stop();
  }
  for (const auto& lane : lanes_) lane->join();
  context_.stop();
}

}  // namespace

void serve_custodian(const Path& data, const ServiceSettings& settings, const Environment& environment,
                     const std::function<void(const Custodian::Identity&)>& listening) {
  service_log::open();
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to connections that the other side has dropped
  boost::asio::io_context context{1};
  boost::asio::signal_set signals(context, SIGTERM, SIGINT, SIGHUP);
  stop_if_interrupted(environment);  // until a moment ago a signal was only noted
  tcp::acceptor acceptor = listen_on(context, settings.listen);
  Custodian custodian =
      Custodian::open(data, with_address(settings.custodian, acceptor.local_endpoint()), environment.now_ms());
  const ServiceLimits limits = fit_to_descriptors(settings.limits);
  listening(custodian.identity());
  sd_notify(0, "READY=1");
  enter_sandbox(data);
  Service(context, acceptor, signals, std::move(custodian), limits, environment).run();
  service_log::info("stopped");
}

}  // namespace casevault
