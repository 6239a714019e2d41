#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vault/custody/wire.h"

namespace casevault {

/// One request to one custodian.
struct HttpsCall {
  std::string address;  // HOST:PORT
  ByteArray<32> pin{};  // the only thing that is believed about whoever answers
  WireRequest request;
  std::optional<WireSignature> signature;
  std::string content_type = "application/json";  // of the body
};

/// How a call ended.
enum class Reach {
  kAnswered,     ///< status and body are whole; what they say is still to be judged
  kUnreachable,  ///< no connection, or it broke off
  kWrongPin,     ///< somebody else answers there
  kTooSlow,      ///< connected, but no whole answer in time
  kNonsense,     ///< more than it may send, or not HTTP
  kNotNeeded,    ///< dropped, because others had answered enough
};

struct HttpsAnswer {
  Reach reach = Reach::kNotNeeded;
  int status = 0;                     // of kAnswered
  std::string body;                   // of kAnswered, at most kMaxWireBody bytes
  std::optional<std::int64_t> clock;  // of the header Casevault-Time, Unix seconds
  std::string reason;                 // where it is not kAnswered: words of ours for people, "connection refused"
};

struct HttpsTimeouts {
  std::chrono::milliseconds connect{1000};  // until TLS stands, names and proxy included
  std::chrono::milliseconds total{2500};    // until the last answer, of the whole `send`
};
inline constexpr HttpsTimeouts kDirectTimeouts{};
/// Three hops there and three back: what Tor needs on a slow day.
inline constexpr HttpsTimeouts kProxyTimeouts{std::chrono::seconds(20), std::chrono::seconds(40)};

/// Asks several custodians at once over HTTPS (TLS 1.3, HTTP/1.1), and keeps the connections for the next time. Of
/// certificates nothing counts but the pin. No redirects, cookies, caches, .netrc, or proxies out of the environment.
/// One thread at a time.
class HttpClient {
 public:
  /// `proxy` empty, or HOST:PORT of a SOCKS5 proxy, which then resolves names too, as Tor wants it.
  /// `interrupted` may be empty; it is asked several times a second.
  /// @throws Error{kUsage} when `proxy` is neither.
  HttpClient(const std::string& proxy, std::function<bool()> interrupted);
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  bool has_proxy() const;

  /// What follows from an answer.
  struct Next {
    bool enough = false;             // the calls that have not ended yet are dropped
    std::optional<HttpsCall> again;  // ask this one once more, in the time that is left
  };
  /// Called with each answer as it comes, of whatever reach but kNotNeeded; `index` is the call's.
  using Judge = std::function<Next(std::size_t index, const HttpsAnswer& answer)>;

  /// All calls at once; returns when the judge has enough or all have ended, after `timeouts.total` at the latest. The
  /// answers stand as the calls do. @throws Error{kInterrupted}; what the judge throws, when the calls were dropped.
  std::vector<HttpsAnswer> send(const std::vector<HttpsCall>& calls, const HttpsTimeouts& timeouts, const Judge& judge);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace casevault
