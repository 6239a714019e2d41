#include "vault/custody/http.h"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <nlohmann/json.hpp>

namespace casevault {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using Message = http::request<http::string_body>;

std::string text_of(boost::beast::string_view view) { return {view.data(), view.size()}; }

WireAnswer malformed(std::string_view message) { return error_answer(400, "malformed", message); }

WireAnswer answer_for(const error_code& error) {
  if (error == http::error::header_limit) return error_answer(413, "too-large", "The header section is over 8 KiB.");
  if (error == http::error::body_limit) return error_answer(413, "too-large", "The body is over 64 KiB.");
  return malformed("This is not an HTTP/1.1 request.");
}

/// A field that stands there twice means one thing to one reader and another to the next.
bool has_twice(const Message& message, std::string_view field) {
  return message.count(boost::beast::string_view(field.data(), field.size())) > 1;
}

/// What is wrong with a header section, before anything of the body is read.
std::optional<WireAnswer> fault_of(const Message& message, std::uint64_t body_size) {
  for (const std::string_view field : {"Content-Digest", "Signature-Input", "Signature", "Content-Length", "Host"}) {
    if (has_twice(message, field)) return malformed("A header field that may stand once stands twice.");
  }
  if (message.count(http::field::transfer_encoding) > 0) {
    return malformed("A body needs a Content-Length; transfer codings are not taken.");
  }
  if (message.method() != http::verb::get && message.method() != http::verb::post) {
    return malformed("The method is neither GET nor POST.");
  }
  if (message.method() == http::verb::get && body_size > 0) return malformed("A GET request has no body.");
  if (message.target().empty() || message.target().front() != '/') return malformed("The target is not a path.");
  return std::nullopt;
}

std::optional<WireSignature> signature_of(const Message& message) {
  WireSignature signature = {.content_digest = text_of(message["Content-Digest"]),
                             .signature_input = text_of(message["Signature-Input"]),
                             .signature = text_of(message["Signature"])};
  if (signature.content_digest.empty() && signature.signature_input.empty() && signature.signature.empty()) {
    return std::nullopt;
  }
  return signature;
}

const char* reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 503:
      return "Service Unavailable";
    default:
      return "";  // RFC 9112 section 4 lets it be empty
  }
}

std::string response(int status, std::string_view type, std::string_view fields, std::string_view body,
                     bool keep_alive) {
  std::string out;
  out.reserve(256 + fields.size() + body.size());
  out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(reason_of(status));
  out.append("\r\nContent-Type: ").append(type);
  out.append("\r\nContent-Length: ").append(std::to_string(body.size()));
  out.append("\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n").append(fields);
  if (!keep_alive) out.append("Connection: close\r\n");
  return out.append("\r\n").append(body);
}

}  // namespace

struct HttpReader::Parser {
  http::request_parser<http::string_body> beast;
};

HttpReader::HttpReader() = default;
HttpReader::~HttpReader() = default;

HttpReader::Result HttpReader::refuse(WireAnswer answer) {
  refusal_ = std::move(answer);
  parser_.reset();
  return Result::kRefused;
}

HttpReader::Result HttpReader::feed(std::string& input) {
  if (input.empty() && !parser_) return Result::kIncomplete;
  if (!parser_) {
    parser_ = std::make_unique<Parser>();
    parser_->beast.header_limit(kMaxHttpHeader);
    parser_->beast.body_limit(kMaxWireBody);
  }
  auto& parser = parser_->beast;
  if (!parser.is_header_done()) {
    const Result result = feed_header(input);
    if (result != Result::kComplete) return result;
  }
  if (!parser.is_done() && !input.empty()) {
    error_code error;
    input.erase(0, parser.put(boost::asio::buffer(input), error));
    if (error && error != http::error::need_more) return refuse(answer_for(error));
  }
  return parser.is_done() ? Result::kComplete : Result::kIncomplete;
}

/// kComplete: the header section is, and nothing is wrong with it.
HttpReader::Result HttpReader::feed_header(std::string& input) {
  auto& parser = parser_->beast;
  error_code error;
  while (!parser.is_header_done() && !error) input.erase(0, parser.put(boost::asio::buffer(input), error));
  if (error == http::error::need_more) return Result::kIncomplete;
  if (error) return refuse(answer_for(error));
  const auto body_size = parser.content_length();
  if (auto fault = fault_of(parser.get(), body_size ? *body_size : 0)) return refuse(std::move(*fault));
  const bool waits =
      input.empty() && !parser.is_done() && boost::beast::iequals(parser.get()[http::field::expect], "100-continue");
  return waits ? Result::kContinue : Result::kComplete;
}

HttpRequest HttpReader::take_request() {
  Message message = parser_->beast.release();
  parser_.reset();
  const std::string target = text_of(message.target());
  const std::size_t question = std::min(target.find('?'), target.size());
  return {.wire = {.method = text_of(message.method_string()),
                   .path = target.substr(0, question),
                   .query = target.substr(question),
                   .body = std::move(message.body())},
          .signature = signature_of(message),
          .keep_alive = message.keep_alive()};
}

WireAnswer error_answer(int status, std::string_view word, std::string_view message) {
  return {.status = status, .body = nlohmann::json({{"error", word}, {"message", message}}).dump()};
}

std::string http_page(std::string_view html, std::string_view policy, bool keep_alive) {
  const std::string fields = "Content-Security-Policy: " + std::string(policy) +
                             "\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n";
  return response(200, "text/html; charset=utf-8", fields, html, keep_alive);
}

std::string http_response(const WireAnswer& answer, bool keep_alive) {
  std::string fields;
  if (answer.clock) fields = "Casevault-Time: " + std::to_string(*answer.clock) + "\r\n";
  return response(answer.status, answer.type, fields, answer.body, keep_alive);
}

}  // namespace casevault
