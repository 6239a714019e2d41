#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "vault/custody/http.h"
#include "vault/custody/peer_limits.h"
#include "vault/custody/waits.h"

namespace casevault {
namespace {

using Result = HttpReader::Result;
using std::chrono::seconds;

// ---- HTTP

std::string post(const std::string& body, const std::string& fields = "") {
  return "POST /v1/evaluate HTTP/1.1\r\nHost: x\r\n" + fields + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

TEST(HttpReader, GivesTheRequestAsItIsSigned) {
  HttpReader reader;
  std::string input = "GET /v1/orders?to=a&vault=b HTTP/1.1\r\nSignature-Input: i\r\nSignature: s\r\n\r\n";
  ASSERT_EQ(reader.feed(input), Result::kComplete);
  const HttpRequest request = reader.take_request();
  EXPECT_EQ(request.wire.method, "GET");
  EXPECT_EQ(request.wire.path, "/v1/orders");
  EXPECT_EQ(request.wire.query, "?to=a&vault=b");
  EXPECT_EQ(request.wire.body, "");
  ASSERT_TRUE(request.signature);
  EXPECT_EQ(request.signature->signature_input, "i");
  EXPECT_EQ(request.signature->signature, "s");
  EXPECT_EQ(request.signature->content_digest, "");
  EXPECT_TRUE(request.keep_alive);
  EXPECT_TRUE(input.empty());
}

TEST(HttpReader, ReadsByteByByteAndOneAfterTheOther) {
  HttpReader reader;
  const std::string bytes = post("{\"a\":1}", "Signature: s\r\n") + post("second") + post("");
  std::vector<std::string> bodies;
  std::string input;
  for (const char byte : bytes) {
    input += byte;
    if (reader.feed(input) == Result::kComplete) bodies.push_back(reader.take_request().wire.body);
  }
  EXPECT_EQ(bodies, (std::vector<std::string>{"{\"a\":1}", "second", ""}));
}

TEST(HttpReader, LeavesWhatIsSentAhead) {
  HttpReader reader;
  std::string input = post("first") + post("second");
  ASSERT_EQ(reader.feed(input), Result::kComplete);
  EXPECT_EQ(reader.take_request().wire.body, "first");
  ASSERT_EQ(reader.feed(input), Result::kComplete);
  EXPECT_EQ(reader.take_request().wire.body, "second");
  EXPECT_EQ(reader.feed(input), Result::kIncomplete);
}

TEST(HttpReader, LetsAClientAskBeforeItSends) {
  HttpReader reader;
  std::string input = "POST /v1/orders HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  ASSERT_EQ(reader.feed(input), Result::kContinue);
  ASSERT_EQ(reader.feed(input), Result::kIncomplete);
  input = "{}";
  ASSERT_EQ(reader.feed(input), Result::kComplete);
  EXPECT_EQ(reader.take_request().wire.body, "{}");
}

TEST(HttpReader, TakesABodyOfJustTheLimit) {
  HttpReader reader;
  std::string input = post(std::string(kMaxWireBody, 'x'));
  EXPECT_EQ(reader.feed(input), Result::kComplete);
}

struct Refused {
  const char* name;
  std::string input;
  int status;
};
class HttpRefusal : public testing::TestWithParam<Refused> {};

TEST_P(HttpRefusal, HasItsStatus) {
  HttpReader reader;
  std::string input = GetParam().input;
  ASSERT_EQ(reader.feed(input), Result::kRefused);
  EXPECT_EQ(reader.refusal().status, GetParam().status);
  const auto body = nlohmann::json::parse(reader.refusal().body);
  EXPECT_EQ(body.at("error"), GetParam().status == 413 ? "too-large" : "malformed");
}

const std::string kGet = "GET / HTTP/1.1\r\n";
INSTANTIATE_TEST_SUITE_P(
    All, HttpRefusal,
    testing::Values(Refused{"Garbage", "\x16\x03\x01", 400}, Refused{"Words", "hello there\r\n\r\n", 400},
                    Refused{"OldVersion", "GET / HTTP/0.9\r\n\r\n", 400},
                    Refused{"NewVersion", "GET / HTTP/2.0\r\n\r\n", 400},
                    Refused{"Method", "PUT / HTTP/1.1\r\n\r\n", 400},
                    Refused{"Proxy", "GET http://a/ HTTP/1.1\r\n\r\n", 400},
                    Refused{"BodyOfGet", kGet + "Content-Length: 1\r\n\r\n", 400},
                    Refused{"Chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
                    Refused{"TwoLengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
                    Refused{"NegativeLength", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
                    Refused{"TwoSignatures", kGet + "Signature: a\r\nsignature: b\r\n\r\n", 400},
                    Refused{"TwoDigests", kGet + "Content-Digest: a\r\nContent-Digest: a\r\n\r\n", 400},
                    Refused{"NoColon", kGet + "what\r\n\r\n", 400},
                    Refused{"LargeBody", "POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413},
                    Refused{"HugeBody", "POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", 413},
                    Refused{"LongField", kGet + "X: " + std::string(kMaxHttpHeader, 'x'), 413},
                    Refused{"LongTarget", "GET /" + std::string(kMaxHttpHeader, 'x'), 413}),
    [](const auto& info) { return info.param.name; });

TEST(HttpResponse, IsWholeAndTellsTheClock) {
  const WireAnswer answer = {.status = 401, .body = "{}", .clock = 1'700'000'000};
  EXPECT_EQ(http_response(answer, false),
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nCasevault-Time: 1700000000\r\n"
            "Connection: close\r\n\r\n{}");
}

// ---- Limits

PeerAddress ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  PeerAddress address{};
  address[10] = address[11] = std::byte{0xff};
  address[12] = std::byte{a};
  address[13] = std::byte{b};
  address[14] = std::byte{c};
  address[15] = std::byte{d};
  return address;
}

PeerAddress ipv6(std::uint8_t network, std::uint8_t host) {
  PeerAddress address{};
  address[0] = std::byte{0x20};
  address[7] = std::byte{network};
  address[15] = std::byte{host};
  return address;
}

using Verdict = PeerLimits::Verdict;
const PeerLimits::Clock::time_point kStart{seconds(1000)};

TEST(PeerLimits, CountsConnectionsInAllAndOfOne) {
  PeerLimits limits({.connections = 3, .connections_of_a_peer = 2});
  EXPECT_EQ(limits.admit(ipv4(1, 1, 1, 1), kStart), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(ipv4(1, 1, 1, 1), kStart), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(ipv4(1, 1, 1, 1), kStart), Verdict::kTooManyOfOne);
  EXPECT_EQ(limits.admit(ipv4(1, 1, 1, 2), kStart), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(ipv4(1, 1, 1, 3), kStart), Verdict::kFull);
  limits.leave(ipv4(1, 1, 1, 1));
  EXPECT_EQ(limits.admit(ipv4(1, 1, 1, 1), kStart), Verdict::kAdmitted);
}

TEST(PeerLimits, LetsABurstThroughAndThenARate) {
  PeerLimits limits({.requests_per_second_of_a_peer = 2, .burst_of_a_peer = 3});
  const PeerAddress peer = ipv4(1, 1, 1, 1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limits.take(peer, kStart));
  EXPECT_FALSE(limits.take(peer, kStart));
  EXPECT_EQ(limits.admit(peer, kStart), Verdict::kTooFast);
  EXPECT_TRUE(limits.take(ipv4(2, 2, 2, 2), kStart));
  EXPECT_TRUE(limits.take(peer, kStart + seconds(1)));
  EXPECT_TRUE(limits.take(peer, kStart + seconds(1)));
  EXPECT_FALSE(limits.take(peer, kStart + seconds(1)));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limits.take(peer, kStart + seconds(1000)));
  EXPECT_FALSE(limits.take(peer, kStart + seconds(1000)));
}

TEST(PeerLimits, TakesAnIpv6NetworkForOnePeer) {
  PeerLimits limits({.connections_of_a_peer = 1});
  EXPECT_EQ(limits.admit(ipv6(1, 1), kStart), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(ipv6(1, 2), kStart), Verdict::kTooManyOfOne);
  EXPECT_EQ(limits.admit(ipv6(2, 1), kStart), Verdict::kAdmitted);
  limits.leave(ipv6(1, 1));
  EXPECT_EQ(limits.admit(ipv6(1, 2), kStart), Verdict::kAdmitted);
}

TEST(PeerLimits, TakesLoopbackForManyWhereToldSo) {
  for (const PeerAddress& loopback : {ipv4(127, 0, 0, 1), ipv4(127, 9, 9, 9)}) {
    PeerLimits onion({.connections_of_a_peer = 1, .burst_of_a_peer = 1, .loopback_is_many = true});
    PeerLimits other({.connections_of_a_peer = 1, .loopback_is_many = false});
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(onion.admit(loopback, kStart), Verdict::kAdmitted);
      EXPECT_TRUE(onion.take(loopback, kStart));
    }
    EXPECT_EQ(other.admit(loopback, kStart), Verdict::kAdmitted);
    EXPECT_EQ(other.admit(loopback, kStart), Verdict::kTooManyOfOne);
    onion.leave(loopback);
  }
}

TEST(PeerLimits, ForgetsThoseItOwesNothing) {
  PeerLimits limits({.requests_per_second_of_a_peer = 10, .burst_of_a_peer = 20});
  ASSERT_EQ(limits.admit(ipv4(9, 9, 9, 9), kStart), Verdict::kAdmitted);
  for (int i = 0; i < 100'000; ++i) {
    limits.take(
        ipv4(1, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)),
        kStart + std::chrono::milliseconds(10 * i));
  }
  EXPECT_LE(limits.peers(), 1100u);
  limits.leave(ipv4(9, 9, 9, 9));  // was not forgotten
}

TEST(PeerLimits, NamesAddresses) {
  EXPECT_EQ(peer_name(ipv4(192, 0, 2, 7)), "192.0.2.7");
  EXPECT_EQ(peer_name(ipv6(1, 2)), "2000:0:0:1::2");
}

// ---- Long polls

OrderWait wait_of(std::uint8_t vault) { return {.vault = {std::byte{vault}}, .device = {}, .after = vault}; }

TEST(Waits, AreFoundByVaultAndByEnd) {
  Waits waits;
  EXPECT_FALSE(waits.next_end());
  waits.add(1, wait_of(7), kStart);
  waits.add(2, wait_of(8), kStart + seconds(1));
  waits.add(3, wait_of(7), kStart + seconds(2));
  EXPECT_EQ(waits.of_vault({std::byte{7}}), (std::vector<ConnectionId>{1, 3}));
  EXPECT_TRUE(waits.of_vault({std::byte{9}}).empty());
  EXPECT_EQ(waits.next_end(), kStart + Waits::kLongest);
  EXPECT_TRUE(waits.over(kStart + Waits::kLongest - seconds(1)).empty());
  EXPECT_EQ(waits.over(kStart + Waits::kLongest + seconds(1)), (std::vector<ConnectionId>{1, 2}));
  EXPECT_EQ(waits.all().size(), 3u);
}

TEST(Waits, GoWithoutATrace) {
  Waits waits;
  waits.add(1, wait_of(7), kStart);
  waits.add(1, wait_of(8), kStart + seconds(5));  // the same connection again
  EXPECT_TRUE(waits.of_vault({std::byte{7}}).empty());
  EXPECT_EQ(waits.next_end(), kStart + seconds(5) + Waits::kLongest);
  const auto removed = waits.remove(1);
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->after, 8u);
  EXPECT_FALSE(waits.remove(1));
  EXPECT_FALSE(waits.next_end());
  EXPECT_TRUE(waits.all().empty());
}

}  // namespace
}  // namespace casevault
