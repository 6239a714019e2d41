#include "vault/custody/http_client.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "crypto/error.h"
#include "tests/support/https_server.h"

namespace casevault {
namespace {

using std::chrono::milliseconds;
using test::HttpsServer;

// Short, so that tests of what never comes are quick; long enough for a handshake on a busy machine.
constexpr HttpsTimeouts kPatience{milliseconds(5'000), milliseconds(10'000)};
constexpr HttpsTimeouts kLittlePatience{milliseconds(700), milliseconds(1'000)};

HttpsCall get(const HttpsServer& server, const std::string& path, const std::string& query = "") {
  return {server.address(), server.pin(), {"GET", path, query, ""}, {}};
}

HttpClient::Next wait_for_all(std::size_t, const HttpsAnswer&) { return {}; }

/// A listening socket on 127.0.0.1.
class Listener {
 public:
  explicit Listener(int backlog) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket_, backlog) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no listening socket");
    }
    address_ = address;
  }
  ~Listener() { ::close(socket_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }
  const sockaddr_in& raw_address() const { return address_; }

 private:
  int socket_;
  sockaddr_in address_{};
};

/// An address from which nothing comes back, not even a refusal: the queue of a socket that nobody accepts from is
/// full.
class BlackHole {
 public:
  BlackHole() : listener_(0) {
    for (int& filler : fillers_) {
      filler = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      (void)::connect(filler, reinterpret_cast<const sockaddr*>(&listener_.raw_address()), sizeof(sockaddr_in));
    }
  }
  ~BlackHole() {
    for (const int filler : fillers_) ::close(filler);
  }
  BlackHole(const BlackHole&) = delete;
  BlackHole& operator=(const BlackHole&) = delete;
  std::string address() const { return listener_.address(); }

 private:
  Listener listener_;
  std::array<int, 4> fillers_{};
};

class HttpClientTest : public testing::Test {
 protected:
  HttpsAnswer ask(const HttpsCall& call, const HttpsTimeouts& timeouts = kPatience) {
    return client.send({call}, timeouts, wait_for_all).front();
  }
  nlohmann::json echo(const HttpsCall& call) { return nlohmann::json::parse(ask(call).body); }

  HttpsServer server;
  HttpClient client{"", {}};
};

TEST_F(HttpClientTest, AnswersStandAsTheCallsDo) {
  HttpsServer other;
  const auto answers =
      client.send({get(server, "/size/3"), get(other, "/size/5"), get(server, "/status/404")}, kPatience, wait_for_all);
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].body, "aaa");
  EXPECT_EQ(answers[1].body, "aaaaa");
  EXPECT_EQ(answers[2].status, 404);
  for (const auto& answer : answers) EXPECT_EQ(answer.reach, Reach::kAnswered);
}

// What goes over the wire, and nothing more: no cookies, no agent, nothing that tells one client from another.
TEST_F(HttpClientTest, SendsWhatWasSigned) {
  const auto key = SigningKey::random();
  auto call = get(server, "/echo");
  call.request = {"POST", "/echo", "", R"({"a":"ж"})"};
  call.signature = sign_request(call.request, key, 1'700'000'000);
  for (int round = 0; round < 2; ++round) {  // the first answer sets a cookie
    const auto seen = echo(call);
    EXPECT_EQ(seen["method"], "POST");
    EXPECT_EQ(seen["target"], "/echo");
    EXPECT_EQ(seen["body"], call.request.body);
    const auto fields = seen["fields"].get<std::map<std::string, std::string>>();
    std::vector<std::string> names;
    for (const auto& field : fields) names.push_back(field.first);
    EXPECT_THAT(names, testing::ElementsAre("content-digest", "content-length", "content-type", "host", "signature",
                                            "signature-input"));
    EXPECT_EQ(fields.at("content-type"), "application/json");
    EXPECT_TRUE(check_request(call.request,
                              {fields.at("content-digest"), fields.at("signature-input"), fields.at("signature")}));
  }
}

TEST_F(HttpClientTest, SendsPathAndQueryAsTheyStand) {
  const auto seen = echo(get(server, "/echo/./../%41", "?from=1&to=../x"));
  EXPECT_EQ(seen["target"], "/echo/./../%41?from=1&to=../x");
  EXPECT_EQ(seen["method"], "GET");
  EXPECT_FALSE(seen["fields"].contains("content-type"));
}

TEST_F(HttpClientTest, ConnectionsAreKept) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(get(server, "/connections")).body, "1");
}

TEST_F(HttpClientTest, AConnectionThatWasClosedIsMadeAgain) {
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(ask(get(server, "/once")).reach, Reach::kAnswered) << i;
  EXPECT_EQ(ask(get(server, "/connections")).body, "4");
}

TEST_F(HttpClientTest, ClockOfARefusal) {
  const auto answer = ask(get(server, "/clock/1700000000"));
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.clock, 1'700'000'000);
  for (const auto* wrong : {"-1", "01", "1e9", "1.5", "999999999999", "now"}) {
    EXPECT_EQ(ask(get(server, std::string("/clock/") + wrong)).clock, std::nullopt) << wrong;
  }
}

// ---- Whom it talks to
TEST_F(HttpClientTest, SomebodyElseAnswersThere) {
  HttpsServer other;
  auto call = get(other, "/echo");
  call.pin = server.pin();
  const auto answer = ask(call);
  EXPECT_EQ(answer.reach, Reach::kWrongPin);
  EXPECT_EQ(answer.body, "");
}

// A connection that was made to one key is not used for another.
TEST_F(HttpClientTest, AKeptConnectionHasThePinThatItWasMadeWith) {
  ASSERT_EQ(ask(get(server, "/ok")).reach, Reach::kAnswered);
  auto call = get(server, "/ok");
  call.pin[31] ^= std::byte{1};
  EXPECT_EQ(ask(call).reach, Reach::kWrongPin);
  EXPECT_EQ(ask(get(server, "/ok")).reach, Reach::kAnswered);
}

TEST_F(HttpClientTest, OldTlsIsNotSpoken) {
  HttpsServer old({"--tls12"});
  EXPECT_EQ(ask(get(old, "/ok")).reach, Reach::kUnreachable);
}

TEST_F(HttpClientTest, RedirectsAreNotFollowed) {
  const auto answer = ask(get(server, "/redirect"));
  EXPECT_EQ(answer.reach, Reach::kAnswered);
  EXPECT_EQ(answer.status, 302);
  EXPECT_EQ(answer.body, "{}");
}

TEST_F(HttpClientTest, AddressesThatAreNoneAreNotTried) {
  for (const auto* address : {"", "127.0.0.1", "user@127.0.0.1:443", "127.0.0.1:443/x?", "file:///etc/passwd"}) {
    auto call = get(server, "/ok");
    call.address = address;
    EXPECT_EQ(ask(call).reach, Reach::kUnreachable) << address;
  }
}

TEST_F(HttpClientTest, TheEnvironmentIsNotAsked) {
  Listener nobody(1);
  for (const auto* name : {"https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"}) {
    ::setenv(name, ("http://" + nobody.address()).c_str(), 1);
  }
  EXPECT_EQ(ask(get(server, "/ok")).reach, Reach::kAnswered);
  for (const auto* name : {"https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"}) ::unsetenv(name);
}

// ---- Tor, or another proxy
TEST(HttpClientProxy, ResolvesNamesAndIsNotGoneAround) {
  HttpsServer server({"--socks"});
  ::setenv("no_proxy", "*", 1);
  HttpClient client(server.proxy(), {});
  const std::string onion(56, 'a');
  for (const auto& address : {onion + ".onion:443", std::string("custodian.invalid:8443")}) {
    const auto answers =
        client.send({{address, server.pin(), {"GET", "/size/2", "", ""}, {}}}, kPatience, wait_for_all);
    EXPECT_EQ(answers.front().body, "aa") << answers.front().reason;
  }
  ::unsetenv("no_proxy");
  const auto asked = test::read_file(server.folder() / "asked");
  EXPECT_EQ(as_text(asked), "name " + onion + ".onion 443\nname custodian.invalid 8443\n");
}

TEST(HttpClientProxy, OnionsAreNotAskedForWithoutOne) {
  HttpClient client("", {});
  const auto answers = client.send({{"a.onion:443", {}, {"GET", "/", "", ""}, {}}}, kPatience, wait_for_all);
  EXPECT_EQ(answers.front().reach, Reach::kUnreachable);
  EXPECT_THAT(answers.front().reason, testing::HasSubstr("Tor"));
}

TEST(HttpClientProxy, IsHostAndPort) {
  for (const auto* proxy : {"127.0.0.1", "socks5h://127.0.0.1:9050", "http://a:1", "a:0", "a b:1"}) {
    EXPECT_THROW(HttpClient(proxy, {}), Error) << proxy;
  }
}

TEST(HttpClientProxy, OneThatIsDeadIsSaid) {
  std::string address;
  {
    Listener closed(1);
    address = closed.address();
  }
  HttpClient client(address, {});
  const auto answers = client.send({{"a.invalid:443", {}, {"GET", "/", "", ""}, {}}}, kPatience, wait_for_all);
  EXPECT_EQ(answers.front().reach, Reach::kUnreachable);
}

// ---- Dead and hostile custodians: each ends, in time, as what it is; and the others' answers are there.
struct Bad {
  std::string name;
  std::string path;
  Reach reach;
};

class BadCustodian : public testing::TestWithParam<Bad> {};

TEST_P(BadCustodian, EndsAndHindersNobody) {
  HttpsServer bad;
  HttpsServer good;
  HttpClient client("", {});
  const bool waits = GetParam().reach == Reach::kTooSlow;
  const auto answers =
      client.send({get(bad, GetParam().path), get(good, "/size/7")}, waits ? kLittlePatience : kPatience, wait_for_all);
  EXPECT_EQ(answers[0].reach, GetParam().reach) << answers[0].reason;
  EXPECT_EQ(answers[0].body, "");
  EXPECT_FALSE(answers[0].reason.empty());
  EXPECT_EQ(answers[1].body, "aaaaaaa");
  EXPECT_EQ(client.send({get(good, "/size/1")}, kPatience, wait_for_all).front().body, "a") << "afterwards";
}

INSTANTIATE_TEST_SUITE_P(Https, BadCustodian,
                         testing::Values(Bad{"never_answers", "/silent", Reach::kTooSlow},
                                         Bad{"drips_its_header", "/drip-header", Reach::kTooSlow},
                                         Bad{"drips_its_body", "/drip-body", Reach::kTooSlow},
                                         Bad{"body_without_end", "/endless", Reach::kNonsense},
                                         Bad{"body_one_byte_too_long", "/size/65537", Reach::kNonsense},
                                         Bad{"hundred_thousand_headers", "/headers", Reach::kNonsense},
                                         Bad{"a_long_header", "/long-header", Reach::kNonsense},
                                         Bad{"interim_answers_without_end", "/early-hints", Reach::kNonsense},
                                         Bad{"trailers_without_end", "/trailers", Reach::kNonsense},
                                         Bad{"half_a_body", "/half", Reach::kUnreachable},
                                         Bad{"closes_at_once", "/nothing", Reach::kUnreachable},
                                         Bad{"another_protocol", "/no-http", Reach::kNonsense},
                                         Bad{"http_0_9", "/http09", Reach::kNonsense}),
                         test::row_name<Bad>);

TEST_F(HttpClientTest, BodiesUpToTheLimit) {
  EXPECT_EQ(ask(get(server, "/size/65536")).body.size(), 65'536u);
  EXPECT_EQ(ask(get(server, "/size/0")).reach, Reach::kAnswered);
}

TEST_F(HttpClientTest, NothingIsUnpacked) { EXPECT_EQ(ask(get(server, "/zipped")).body.substr(3), "nothing"); }

TEST_F(HttpClientTest, NobodyListensThere) {
  auto call = get(server, "/ok");
  {
    Listener closed(1);
    call.address = closed.address();
  }
  const auto answers = client.send({call, get(server, "/size/1")}, kPatience, wait_for_all);
  EXPECT_EQ(answers[0].reach, Reach::kUnreachable);
  EXPECT_EQ(answers[1].body, "a");
}

TEST_F(HttpClientTest, NothingComesBackFromThere) {
  BlackHole hole;
  auto call = get(server, "/ok");
  call.address = hole.address();
  const auto answers = client.send({call, get(server, "/size/1")}, kLittlePatience, wait_for_all);
  EXPECT_EQ(answers[0].reach, Reach::kUnreachable);
  EXPECT_EQ(answers[1].body, "a");
}

TEST_F(HttpClientTest, SomebodyAcceptsAndSaysNothing) {
  Listener mute(8);
  auto call = get(server, "/ok");
  call.address = mute.address();
  EXPECT_EQ(ask(call, kLittlePatience).reach, Reach::kUnreachable);
}

TEST_F(HttpClientTest, NoSuchName) {
  auto call = get(server, "/ok");
  call.address = "custodian.invalid:443";
  EXPECT_EQ(ask(call).reach, Reach::kUnreachable);
}

// ---- Enough
TEST_F(HttpClientTest, TheRestIsDroppedWhenThereIsEnough) {
  std::size_t asked = 0;
  const auto one = [&](std::size_t, const HttpsAnswer&) {
    ++asked;
    return HttpClient::Next{.enough = true};
  };
  const auto answers = client.send({get(server, "/silent"), get(server, "/size/1"), get(server, "/silent")},
                                   {milliseconds(5'000), milliseconds(3'600'000)}, one);
  EXPECT_EQ(asked, 1u);
  EXPECT_EQ(answers[0].reach, Reach::kNotNeeded);
  EXPECT_EQ(answers[1].body, "a");
  EXPECT_EQ(answers[2].reach, Reach::kNotNeeded);
}

TEST_F(HttpClientTest, OneMayBeAskedAgain) {
  int answered = 0;
  const auto judge = [&](std::size_t index, const HttpsAnswer& answer) -> HttpClient::Next {
    if (index != 0 || ++answered > 1) return {};
    EXPECT_EQ(answer.status, 401);
    return {.again = get(server, "/size/4")};
  };
  const auto answers = client.send({get(server, "/clock/5"), get(server, "/size/2")}, kPatience, judge);
  EXPECT_EQ(answers[0].body, "aaaa");
  EXPECT_EQ(answers[0].clock, std::nullopt);
  EXPECT_EQ(answers[1].body, "aa");
}

TEST_F(HttpClientTest, IsInterrupted) {
  HttpClient stopped("", [] { return true; });
  try {
    stopped.send({get(server, "/silent")}, kPatience, wait_for_all);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kInterrupted);
  }
}

TEST_F(HttpClientTest, WhatTheJudgeThrowsComesOut) {
  const auto judge = [](std::size_t, const HttpsAnswer&) -> HttpClient::Next { throw Error(Errc::kDamaged, "no"); };
  EXPECT_THROW(client.send({get(server, "/ok"), get(server, "/silent")}, kPatience, judge), Error);
  EXPECT_EQ(ask(get(server, "/ok")).reach, Reach::kAnswered);
}

TEST_F(HttpClientTest, NoCallsNoAnswers) { EXPECT_TRUE(client.send({}, kPatience, wait_for_all).empty()); }

}  // namespace
}  // namespace casevault
