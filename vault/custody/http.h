#pragma once
#include <memory>
#include <optional>
#include <string>

#include "vault/custody/custodian.h"

namespace casevault {

inline constexpr std::size_t kMaxHttpHeader = 8192;  // bytes, of the request line and all fields

/// A request as the custodian sees it, and what the connection needs to know of it.
struct HttpRequest {
  WireRequest wire;
  std::optional<WireSignature> signature;  // nullopt when it has none of the three fields
  bool keep_alive = false;
};

/// Reads the requests of one connection, one after the other. Between two it holds no memory.
class HttpReader {
 public:
  HttpReader();
  ~HttpReader();

  enum class Result {
    kIncomplete,  ///< needs more bytes
    kContinue,    ///< the client waits for "100 Continue" before it sends the body; then as kIncomplete
    kComplete,    ///< take_request
    kRefused,     ///< refusal; what follows on this connection has no meaning
  };
  /// Removes from the front of `input` what belongs to the request.
  Result feed(std::string& input);
  /// The request that is complete; the reader then waits for the next one.
  HttpRequest take_request();
  const WireAnswer& refusal() const { return refusal_; }

 private:
  struct Parser;
  Result refuse(WireAnswer answer);
  Result feed_header(std::string& input);
  std::unique_ptr<Parser> parser_;
  WireAnswer refusal_;
};

/// `{"error":word,"message":message}`, section 2 of the protocol. `message`: an English sentence without quotes.
WireAnswer error_answer(int status, std::string_view word, std::string_view message);
/// A page with its Content-Security-Policy, for browsers.
std::string http_page(std::string_view html, std::string_view policy, bool keep_alive);
/// The answer as it goes over the wire.
std::string http_response(const WireAnswer& answer, bool keep_alive);

}  // namespace casevault
