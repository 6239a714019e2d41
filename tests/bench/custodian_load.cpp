// Puts load on a custodian of its own and measures what issue 4 sets marks for:
//   custodian_load CASEVAULT [evaluate] [idle] [wake] [REPEAT]
// evaluate: evaluations a second over 64 kept-alive TLS connections; idle: the service's memory with 5,000 parked long
// polls; wake: from sending an order to each of 1,000 long polls having its answer. Requests are signed beforehand, so
// that what is measured is the service, and this client's TLS. One line of JSON for each measurement.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <deque>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/oprf.h"
#include "crypto/random.h"
#include "crypto/secret_layout.h"
#include "vault/custody/custodian.h"

namespace casevault {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using nlohmann::json;
using Stream = asio::ssl::stream<tcp::socket>;

std::int64_t now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::string nonce() { return to_hex(random_array<16>()); }

/// A custodian's service as a process of its own, in a new folder.
class Server {
 public:
  explicit Server(const std::string& program) {
    std::string folder = (std::filesystem::temp_directory_path() / "custodian-load-XXXXXX").native();
    require(::mkdtemp(folder.data()) != nullptr, "no temporary folder");
    folder_ = folder;
    int ends[2];
    require(::pipe(ends) == 0, "no pipe");
    process_ = ::fork();
    require(process_ >= 0, "no process");
    if (process_ == 0) serve(program, ends[1]);
    ::close(ends[1]);
    read_address(ends[0]);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    ::kill(process_, SIGTERM);
    int status = 0;
    ::waitpid(process_, &status, 0);
    if (status != 0) std::cerr << "the custodian ended with status " << status << "\n";
    std::filesystem::remove_all(folder_);
  }

  Invitation invite() const { return make_invitation(folder_, "", now_ms()); }
  const tcp::endpoint& endpoint() const { return endpoint_; }

  /// A line of /proc/PID/status in KiB.
  std::size_t memory(const std::string& name) const {
    std::ifstream status("/proc/" + std::to_string(process_) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(name + ":")) return std::stoul(line.substr(name.size() + 1));
    }
    return 0;
  }

  /// Seconds of processor time, of all its threads.
  double processor_time() const {
    std::ifstream file("/proc/" + std::to_string(process_) + "/stat");
    std::string text;
    std::getline(file, text);
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::vector<std::string> values{std::istream_iterator<std::string>(fields), {}};
    return (std::stod(values[11]) + std::stod(values[12])) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }

 private:
  [[noreturn]] void serve(const std::string& program, int out) {
    ::dup2(out, STDOUT_FILENO);
    const int log = ::open("/dev/null", O_WRONLY);
    if (!std::getenv("CUSTODIAN_LOAD_LOG")) ::dup2(log, STDERR_FILENO);
    ::execl(program.c_str(), program.c_str(), "--json", "custodian", "serve", "--data", folder_.c_str(), "--listen",
            "127.0.0.1:0", "--behind-tor", nullptr);
    ::_exit(127);
  }

  void read_address(int in) {
    std::string line;
    char c = 0;
    while (::read(in, &c, 1) == 1 && c != '\n') line += c;
    ::close(in);
    const std::string address = json::parse(line).at("address");
    const auto colon = address.rfind(':');
    endpoint_ = {asio::ip::make_address(address.substr(0, colon)),
                 static_cast<std::uint16_t>(std::stoul(address.substr(colon + 1)))};
  }

  std::filesystem::path folder_;
  pid_t process_ = -1;
  tcp::endpoint endpoint_;
};

/// A request as it goes over the wire.
std::string on_the_wire(const WireRequest& request, const WireSignature* signature) {
  std::string text = request.method + " " + request.path + request.query + " HTTP/1.1\r\nHost: custodian\r\n";
  if (signature != nullptr) {
    if (!signature->content_digest.empty()) text += "Content-Digest: " + signature->content_digest + "\r\n";
    text += "Signature-Input: " + signature->signature_input + "\r\nSignature: " + signature->signature + "\r\n";
  }
  if (!request.body.empty()) text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

std::string signed_request(const WireRequest& request, const SigningKey& key) {
  const WireSignature signature = sign_request(request, key, now_ms() / 1000);
  return on_the_wire(request, &signature);
}

struct Response {
  int status = 0;
  std::string body;
};

/// One kept-alive connection. Each exchange ends in a call of its handler.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Handler = std::function<void(Response)>;
  Connection(asio::io_context& context, asio::ssl::context& tls) : stream_(context, tls) {}

  void connect(const tcp::endpoint& endpoint, std::function<void()> connected) {
    stream_.lowest_layer().async_connect(
        endpoint, [self = shared_from_this(), connected = std::move(connected)](const error_code& error) {
          check(error, "connect");
          self->stream_.lowest_layer().set_option(tcp::no_delay(true));
          self->stream_.async_handshake(asio::ssl::stream_base::client, [self, connected](const error_code& failed) {
            check(failed, "handshake");
            connected();
          });
        });
  }

  void ask(std::string request, Handler handler) {
    request_ = std::move(request);
    handler_ = std::move(handler);
    asio::async_write(stream_, asio::buffer(request_), [self = shared_from_this()](const error_code& error, auto) {
      check(error, "write");
      self->read();
    });
  }

 private:
  static void check(const error_code& error, const char* what) {
    if (!error) return;
    std::cerr << what << ": " << error.message() << "\n";
    std::exit(1);
  }

  void read() {
    stream_.async_read_some(asio::buffer(chunk_),
                            [self = shared_from_this()](const error_code& error, std::size_t got) {
                              check(error, "read");
                              self->input_.append(self->chunk_.data(), got);
                              if (!self->finish()) self->read();
                            });
  }

  /// Calls the handler when the response is whole.
  bool finish() {
    const auto header = input_.find("\r\n\r\n");
    if (header == input_.npos) return false;
    static constexpr std::string_view kLength = "Content-Length: ";
    const auto length_at = input_.find(kLength);
    const std::size_t length = std::stoul(input_.substr(length_at + kLength.size(), 10));
    if (input_.size() < header + 4 + length) return false;
    Response response = {std::stoi(input_.substr(9, 3)), input_.substr(header + 4, length)};
    input_.clear();
    const Handler handler = std::move(handler_);
    handler(std::move(response));
    return true;
  }

  Stream stream_;
  std::string request_;
  std::string input_;
  std::array<char, 4096> chunk_{};
  Handler handler_;
};

/// An office: a vault enrolled at the custodian, with users and machines.
class Office {
 public:
  Office(const Server& server, asio::ssl::context& tls)
      : tls_(tls), server_(server), invitation_(server.invite()), owner_(SigningKey::random()) {
    enrol();
  }

  /// Enrols more machines, beside the first.
  void add_devices(std::size_t count) {
    json added = json::array();
    for (std::size_t i = 0; i < count; ++i) {
      devices_.push_back(SigningKey::random());
      added.push_back({{"id", nonce()}, {"key", to_hex(devices_.back().verify_key().bytes)}});
    }
    const json devices = {{"add", added},     {"kind", "devices"}, {"nonce", nonce()}, {"remove", json::array()},
                          {"time", now_ms()}, {"to", to()},        {"vault", vault()}};
    must_do(post("/v1/policy", {{"devices", to_json(sign_statement(kDevicesDomain, devices, owner_))},
                                {"policy", nullptr},
                                {"to", to()},
                                {"vault", vault()}}));
  }

  void add_users(std::size_t count) {
    constexpr std::size_t kAtOnce = 100;
    while (users_.size() < count) {
      json put = json::array();
      for (std::size_t i = 0; i < kAtOnce && users_.size() < count; ++i) put.push_back(new_user());
      const json secrets = {{"delete", json::array()},
                            {"duress", json::array()},
                            {"kind", "secrets"},
                            {"nonce", nonce()},
                            {"put", put},
                            {"time", now_ms()},
                            {"to", to()},
                            {"vault", vault()}};
      must_do(post(
          "/v1/secrets",
          {{"deposit", to_json(sign_statement(kSecretsDomain, secrets, owner_))}, {"to", to()}, {"vault", vault()}}));
    }
  }

  std::string evaluation(std::size_t user) const {
    static const std::string element = to_hex(generator_times(random_scalar()).bytes);
    return post(
        "/v1/evaluate",
        {{"element", element}, {"id", to_hex(users_.at(user))}, {"to", to()}, {"vault", vault()}, {"version", 1}});
  }

  std::string long_poll(std::size_t number, std::uint64_t after) const {
    const WireRequest request = {.method = "GET",
                                 .path = "/v1/orders/wait",
                                 .query = "?after=" + std::to_string(after) + "&to=" + to() + "&vault=" + vault(),
                                 .body = {}};
    return signed_request(request, devices_.at(number % devices_.size()));
  }

  std::string lock_order() const {
    const std::string statement = json({{"expires", now_ms() + 3'600'000},
                                        {"issued", now_ms()},
                                        {"kind", "order"},
                                        {"nonce", nonce()},
                                        {"reason", ""},
                                        {"scope", "vault"},
                                        {"type", "lock"},
                                        {"vault", vault()}})
                                      .dump();
    const Signature signature = card_.sign(kOrderDomain, as_bytes(statement));
    const json body = {
        {"signatures",
         json::array({{{"card", to_hex(card_.verify_key().bytes)}, {"signature", to_base64(signature)}}})},
        {"statement", statement}};
    return on_the_wire({.method = "POST", .path = "/v1/orders", .query = {}, .body = body.dump()}, nullptr);
  }

 private:
  std::string to() const { return to_hex(invitation_.custodian.key.bytes); }
  std::string vault() const { return to_hex(vault_); }
  std::string post(const std::string& path, const json& body) const {
    return signed_request({.method = "POST", .path = path, .query = {}, .body = body.dump()}, devices_.front());
  }

  void enrol() {
    devices_.push_back(SigningKey::random());
    const json policy = {{"cards", json::array({to_hex(card_.verify_key().bytes)})},
                         {"index", 1},
                         {"kind", "policy"},
                         {"lease_hours", 0},
                         {"log", ""},
                         {"nonce", nonce()},
                         {"owners", json::array({to_hex(owner_.verify_key().bytes)})},
                         {"quorum", 1},
                         {"threshold", 1},
                         {"time", now_ms()},
                         {"to", to()},
                         {"vault", vault()}};
    must_do(post("/v1/vaults", {{"device", {{"id", nonce()}, {"key", to_hex(devices_.front().verify_key().bytes)}}},
                                {"policy", to_json(sign_statement(kPolicyDomain, policy, owner_))},
                                {"to", to()},
                                {"token", to_hex(invitation_.token)}}));
  }

  json new_user() {
    const auto id = random_array<16>();
    users_.push_back(id);
    const auto payload = SecretWriter(4 + 16 + 16 + 4 + Scalar::kSize)
                             .put(as_bytes("CVD1"))
                             .put(vault_)
                             .put(id)
                             .put(be32(1))
                             .put(random_scalar())
                             .finish();
    return {{"duress", to_hex(SigningKey::random().verify_key().bytes)},
            {"id", to_hex(id)},
            {"kind", "user"},
            {"sealed", to_base64(seal_to(invitation_.custodian.box, payload))},
            {"type", "oprf"},
            {"user", to_hex(SigningKey::random().verify_key().bytes)},
            {"version", 1}};
  }

  void must_do(const std::string& request) {
    asio::io_context context;
    auto connection = std::make_shared<Connection>(context, tls_);
    connection->connect(server_.endpoint(), [&] {
      connection->ask(request, [](const Response& response) {
        if (response.status == 200) return;
        std::cerr << "refused: " << response.status << " " << response.body << "\n";
        std::exit(1);
      });
    });
    context.run();
  }

  asio::ssl::context& tls_;
  const Server& server_;
  Invitation invitation_;
  ByteArray<16> vault_ = random_array<16>();
  SigningKey owner_;
  SigningKey card_ = SigningKey::random();
  std::vector<SigningKey> devices_;
  std::vector<ByteArray<16>> users_;
};

/// `count` connections, made a few at a time.
std::vector<std::shared_ptr<Connection>> connect_many(asio::io_context& context, asio::ssl::context& tls,
                                                      const tcp::endpoint& endpoint, std::size_t count) {
  constexpr std::size_t kAtOnce = 32;
  std::vector<std::shared_ptr<Connection>> connections;
  for (std::size_t done = 0; done < count;) {
    for (std::size_t i = 0; i < kAtOnce && done < count; ++i, ++done) {
      connections.push_back(std::make_shared<Connection>(context, tls));
      connections.back()->connect(endpoint, [] {});
    }
    context.run();
    context.restart();
  }
  return connections;
}

double at_share(std::vector<double> sorted, double share) {
  std::ranges::sort(sorted);
  return sorted.at(static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1)));
}

void measure_evaluations(const Server& server, asio::ssl::context& tls) {
  constexpr std::size_t kConnections = 64, kUsers = 3000, kEach = 9;  // the tenth in a row would lock the user
  Office office(server, tls);
  office.add_users(kUsers);
  std::deque<std::string> requests;
  for (std::size_t i = 0; i < kUsers * kEach; ++i) requests.push_back(office.evaluation(i % kUsers));

  asio::io_context context{1};
  const auto connections = connect_many(context, tls, server.endpoint(), kConnections);
  std::vector<double> times;
  std::size_t refused = 0;
  std::function<void(const std::shared_ptr<Connection>&)> next = [&](const std::shared_ptr<Connection>& connection) {
    if (requests.empty()) return;
    std::string request = std::move(requests.front());
    requests.pop_front();
    const auto start = Clock::now();
    connection->ask(std::move(request), [&, connection, start](const Response& response) {
      times.push_back(milliseconds_since(start));
      if (response.status != 200) ++refused;
      next(connection);
    });
  };
  const double processor = server.processor_time();
  const auto start = Clock::now();
  for (const auto& connection : connections) next(connection);
  context.run();
  const double seconds = milliseconds_since(start) / 1000;
  std::cout << json({{"measured", "evaluations"},
                     {"connections", kConnections},
                     {"evaluations", times.size()},
                     {"refused", refused},
                     {"per_second", static_cast<double>(times.size()) / seconds},
                     {"p50_ms", at_share(times, 0.5)},
                     {"p99_ms", at_share(times, 0.99)},
                     {"service_cpu_seconds", server.processor_time() - processor},
                     {"seconds", seconds}})
            << std::endl;
}

/// Parks `count` long polls, looks at the service's memory, sends an order and takes the time of each answer.
void measure_long_polls(const Server& server, asio::ssl::context& tls, std::size_t count, const char* name) {
  Office office(server, tls);
  office.add_devices(60);
  const std::size_t before = server.memory("VmRSS");
  asio::io_context context{1};
  const auto connections = connect_many(context, tls, server.endpoint(), count);
  std::vector<std::string> polls;
  for (std::size_t i = 0; i < count; ++i) polls.push_back(office.long_poll(i, 0));
  const auto sender = connect_many(context, tls, server.endpoint(), 1).front();

  std::vector<double> times;
  Clock::time_point sent;
  double receipt = 0;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < count; ++i) {
    connections[i]->ask(std::move(polls[i]), [&](const Response& response) {
      times.push_back(milliseconds_since(sent));
      if (response.status != 200 || response.body.find("\"orders\":[]") != std::string::npos) ++wrong;
    });
    if (i % 200 == 199) context.run_for(std::chrono::milliseconds(50));
  }
  // Until all are parked: the service has nothing left to do.
  for (double worked = -1; worked != server.processor_time();) {
    worked = server.processor_time();
    context.run_for(std::chrono::milliseconds(500));
  }
  const std::size_t parked = server.memory("VmRSS");
  sent = Clock::now();
  sender->ask(office.lock_order(), [&](const Response& response) {
    receipt = milliseconds_since(sent);
    if (response.status != 200) ++wrong;
  });
  context.run();
  std::cout << json({{"measured", name},
                     {"long_polls", times.size()},
                     {"wrong", wrong},
                     {"rss_before_mib", before / 1024.0},
                     {"rss_parked_mib", parked / 1024.0},
                     {"receipt_ms", receipt},
                     {"wake_p50_ms", at_share(times, 0.5)},
                     {"wake_p99_ms", at_share(times, 0.99)},
                     {"wake_last_ms", at_share(times, 1)}})
            << std::endl;
}

int measure(const std::vector<std::string>& words) {
  init_crypto();
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  asio::ssl::context tls(asio::ssl::context::tlsv13_client);
  const auto wanted = [&](const char* name) {
    return words.size() == 1 || std::ranges::find(words, name) != words.end();
  };
  const Server server(words.at(0));
  if (wanted("wake")) measure_long_polls(server, tls, 1000, "wake");
  if (wanted("idle")) measure_long_polls(server, tls, 5000, "idle");
  if (wanted("evaluate")) measure_evaluations(server, tls);
  return 0;
}

}  // namespace
}  // namespace casevault

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "custodian_load CASEVAULT [evaluate] [idle] [wake]\n";
    return 2;
  }
  return casevault::measure({argv + 1, argv + argc});
}
