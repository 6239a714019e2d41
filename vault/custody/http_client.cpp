#include "vault/custody/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>
#include <string_view>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/text_lines.h"

namespace casevault {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMaxHeaderSection = 8192;  // bytes: docs/custody-protocol.md section 2
constexpr milliseconds kLongestWait{250};        // before `interrupted` is asked again
constexpr long kMaxConnections = 2 * kMaxCustodians;
constexpr std::string_view kProxyScheme = "socks5h://";  // h: names are resolved by the proxy
constexpr std::string_view kClockHeader = "casevault-time:";

struct EasyCleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiCleanup {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct ListCleanup {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyCleanup>;
using Multi = std::unique_ptr<CURLM, MultiCleanup>;
using List = std::unique_ptr<curl_slist, ListCleanup>;

template <typename Value>
void set(const Easy& handle, CURLoption option, Value value) {
  require(curl_easy_setopt(handle.get(), option, value) == CURLE_OK, "https: libcurl refuses an option");
}

void append(List& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  require(longer != nullptr, "https: no memory for headers");
  (void)list.release();
  list.reset(longer);
}

List header_lines(const HttpsCall& call) {
  List lines;
  append(lines, "Accept:");  // curl's own are left out
  append(lines, "Expect:");
  if (!call.request.body.empty()) append(lines, "Content-Type: " + call.content_type);
  if (!call.signature) return lines;
  if (!call.signature->content_digest.empty()) append(lines, "Content-Digest: " + call.signature->content_digest);
  append(lines, "Signature-Input: " + call.signature->signature_input);
  append(lines, "Signature: " + call.signature->signature);
  return lines;
}

/// One call under way. It stays where it is: libcurl has pointers to it.
struct Transfer {
  std::size_t index = 0;
  HttpsCall call;
  Easy handle{curl_easy_init()};
  List headers;
  HttpsAnswer answer;
  std::size_t header_bytes = 0;
  bool said_too_much = false;
};

void read_header(Transfer& transfer, std::string_view line) {
  std::string lower(line.substr(0, kClockHeader.size()));
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
  if (lower != kClockHeader) return;
  line.remove_prefix(kClockHeader.size());
  while (line.starts_with(' ')) line.remove_prefix(1);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  const auto seconds = from_decimal(line);
  constexpr std::uint64_t kLatest = 253'402'300'799;  // the end of the year 9999
  if (seconds && *seconds <= kLatest) transfer.answer.clock = static_cast<std::int64_t>(*seconds);
}

// The callbacks are called by C: nothing may be thrown through it. Anything but `size` breaks the transfer off.
std::size_t on_header(const char* data, std::size_t, std::size_t size, void* context) noexcept {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.header_bytes += size;
  transfer.said_too_much |= transfer.header_bytes > kMaxHeaderSection;
  if (transfer.said_too_much) return 0;
  read_header(transfer, {data, size});
  return size;
}

std::size_t on_body(const char* data, std::size_t, std::size_t size, void* context) noexcept {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.said_too_much |= transfer.answer.body.size() + size > kMaxWireBody;
  if (transfer.said_too_much) return 0;
  transfer.answer.body.append(data, size);
  return size;
}

void set_trust(const Easy& handle, const ByteArray<32>& pin) {
  set(handle, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_3} | long{CURL_SSLVERSION_MAX_TLSv1_3});
  set(handle, CURLOPT_SSL_VERIFYPEER, 0L);
  set(handle, CURLOPT_SSL_VERIFYHOST, 0L);
  set(handle, CURLOPT_CAINFO, nullptr);  // not even read: it takes longer than the handshake
  set(handle, CURLOPT_CAPATH, nullptr);
  set(handle, CURLOPT_SSL_SESSIONID_CACHE, 0L);  // the key is shown again on every connection
  set(handle, CURLOPT_PINNEDPUBLICKEY, ("sha256//" + to_base64(pin)).c_str());
}

void set_manners(const Easy& handle, const std::string& proxy) {
  set(handle, CURLOPT_PROTOCOLS_STR, "https");
  set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(handle, CURLOPT_FOLLOWLOCATION, 0L);
  set(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(handle, CURLOPT_PROXY, proxy.c_str());  // empty: none, whatever the environment says
  set(handle, CURLOPT_NOPROXY, "");           // nor may the environment lead around ours
  set(handle, CURLOPT_PATH_AS_IS, 1L);        // the path that was signed
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_QUICK_EXIT, 1L);  // a name server that is silent is not waited for when the call is dropped
}

void set_request(Transfer& transfer) {
  const auto& handle = transfer.handle;
  const auto& request = transfer.call.request;
  set(handle, CURLOPT_URL, ("https://" + transfer.call.address + request.path + request.query).c_str());
  if (request.method == "POST") {
    set(handle, CURLOPT_POST, 1L);
    set(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(handle, CURLOPT_POSTFIELDS, request.body.data());  // not copied: it lives as long as the transfer
  } else {
    require(request.method == "GET" && request.body.empty(), "https: neither GET nor POST");
    set(handle, CURLOPT_HTTPGET, 1L);
  }
  transfer.headers = header_lines(transfer.call);
  set(handle, CURLOPT_HTTPHEADER, transfer.headers.get());
  set(handle, CURLOPT_HEADERFUNCTION, on_header);
  set(handle, CURLOPT_HEADERDATA, &transfer);
  set(handle, CURLOPT_WRITEFUNCTION, on_body);
  set(handle, CURLOPT_WRITEDATA, &transfer);
}

bool has_connected(const Transfer& transfer) {
  curl_off_t microseconds = 0;
  return curl_easy_getinfo(transfer.handle.get(), CURLINFO_APPCONNECT_TIME_T, &microseconds) == CURLE_OK &&
         microseconds > 0;
}

struct Ending {
  Reach reach;
  std::string_view reason;
};

Ending ending_of(const Transfer& transfer, CURLcode code) {
  if (transfer.said_too_much) return {Reach::kNonsense, "it sends more than it may"};
  switch (code) {
    case CURLE_OK:
      return {Reach::kAnswered, ""};
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return {Reach::kWrongPin, "somebody else answers there"};
    case CURLE_OPERATION_TIMEDOUT:
      if (has_connected(transfer)) return {Reach::kTooSlow, "no whole answer in time"};
      return {Reach::kUnreachable, "no connection in time"};
    case CURLE_COULDNT_RESOLVE_HOST:
      return {Reach::kUnreachable, "its name is not known"};
    case CURLE_COULDNT_CONNECT:
      return {Reach::kUnreachable, "nobody listens there"};
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
      return {Reach::kUnreachable, "the proxy does not get there"};
    case CURLE_SSL_CONNECT_ERROR:
      return {Reach::kUnreachable, "no TLS 1.3 there"};
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
      return {Reach::kNonsense, "it gives nonsense"};
    default:
      return {Reach::kUnreachable, "the connection broke off"};
  }
}

/// What can be known before anything is sent; nullptr: it may be tried.
const char* why_not(const HttpsCall& call, bool has_proxy) {
  if (!is_custodian_address(call.address)) return "its address is malformed";
  const auto host = std::string_view(call.address).substr(0, call.address.rfind(':'));
  // Asking name servers for it would tell them (RFC 7686).
  if (host.ends_with(".onion") && !has_proxy) return "an onion address needs the proxy of Tor";
  return nullptr;
}

std::string proxy_url(const std::string& proxy) {
  if (proxy.empty()) return {};
  if (is_custodian_address(proxy)) return std::string(kProxyScheme) + proxy;
  throw Error(Errc::kUsage, "this is not the address of a proxy", "write it as 127.0.0.1:9050");
}

Multi make_multi() {
  static std::once_flag once;
  std::call_once(once, [] { require(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, "https: no libcurl"); });
  Multi multi(curl_multi_init());
  require(multi != nullptr, "https: no libcurl");
  curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, kMaxConnections);
  return multi;
}

/// The calls of one `send`.
class Round {
 public:
  Round(CURLM* multi, const std::string& proxy, const HttpsTimeouts& timeouts, const HttpClient::Judge& judge)
      : multi_(multi), proxy_(proxy), timeouts_(timeouts), deadline_(Clock::now() + timeouts.total), judge_(judge) {}
  ~Round() {
    for (const auto& transfer : transfers_) curl_multi_remove_handle(multi_, transfer->handle.get());
  }
  Round(const Round&) = delete;
  Round& operator=(const Round&) = delete;

  std::vector<HttpsAnswer> run(const std::vector<HttpsCall>& calls, const std::function<bool()>& interrupted) {
    answers_.resize(calls.size());
    for (std::size_t i = 0; i < calls.size() && !enough_; ++i) begin(i, calls[i]);
    while (!enough_ && !transfers_.empty()) {
      if (interrupted && interrupted()) throw Error(Errc::kInterrupted, "interrupted");
      step();
    }
    return std::move(answers_);
  }

 private:
  milliseconds time_left() const {
    return std::max(std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now()), milliseconds(1));
  }

  void begin(std::size_t index, HttpsCall call) {
    if (const char* reason = why_not(call, !proxy_.empty())) {
      finish(index, {.reach = Reach::kUnreachable, .reason = reason});
      return;
    }
    auto transfer = std::make_unique<Transfer>();
    require(transfer->handle != nullptr, "https: no libcurl");
    transfer->index = index;
    transfer->call = std::move(call);
    set_trust(transfer->handle, transfer->call.pin);
    set_manners(transfer->handle, proxy_);
    set_request(*transfer);
    const auto total = time_left();
    set(transfer->handle, CURLOPT_TIMEOUT_MS, static_cast<long>(total.count()));
    set(transfer->handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(total, timeouts_.connect).count()));
    require(curl_multi_add_handle(multi_, transfer->handle.get()) == CURLM_OK, "https: libcurl refuses a call");
    transfers_.push_back(std::move(transfer));
  }

  void step() {
    int running = 0;
    require(curl_multi_perform(multi_, &running) == CURLM_OK, "https: libcurl failed");
    bool any = false;
    for (int left = 0; CURLMsg* message = enough_ ? nullptr : curl_multi_info_read(multi_, &left);) {
      any = true;
      end(message->easy_handle, message->data.result);
    }
    if (any || transfers_.empty()) return;
    const auto wait = std::min(time_left(), kLongestWait);
    const auto code = curl_multi_poll(multi_, nullptr, 0, static_cast<int>(wait.count()), nullptr);
    require(code == CURLM_OK, "https: libcurl failed");
  }

  void end(CURL* handle, CURLcode code) {
    const auto found =
        std::ranges::find_if(transfers_, [&](const auto& transfer) { return transfer->handle.get() == handle; });
    require(found != transfers_.end(), "https: libcurl ends a call that is not ours");
    curl_multi_remove_handle(multi_, handle);
    const auto transfer = std::move(*found);
    transfers_.erase(found);
    auto answer = std::move(transfer->answer);
    const auto ending = ending_of(*transfer, code);
    answer.reach = ending.reach;
    answer.reason = ending.reason;
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    answer.status = static_cast<int>(status);
    if (answer.reach != Reach::kAnswered) answer = {.reach = answer.reach, .reason = answer.reason};
    finish(transfer->index, std::move(answer));
  }

  void finish(std::size_t index, HttpsAnswer answer) {
    answers_[index] = std::move(answer);
    auto next = judge_(index, answers_[index]);
    enough_ = next.enough;
    if (!enough_ && next.again && Clock::now() < deadline_) begin(index, *std::move(next.again));
  }

  CURLM* multi_;
  const std::string& proxy_;
  HttpsTimeouts timeouts_;
  Clock::time_point deadline_;
  const HttpClient::Judge& judge_;
  std::vector<std::unique_ptr<Transfer>> transfers_;
  std::vector<HttpsAnswer> answers_;
  bool enough_ = false;
};

}  // namespace

struct HttpClient::Parts {
  std::string proxy;
  std::function<bool()> interrupted;
  Multi multi;
};

HttpClient::HttpClient(const std::string& proxy, std::function<bool()> interrupted) {
  parts_ = std::make_unique<Parts>(Parts{proxy_url(proxy), std::move(interrupted), make_multi()});
}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

bool HttpClient::has_proxy() const { return !parts_->proxy.empty(); }

std::vector<HttpsAnswer> HttpClient::send(const std::vector<HttpsCall>& calls, const HttpsTimeouts& timeouts,
                                          const Judge& judge) {
  return Round(parts_->multi.get(), parts_->proxy, timeouts, judge).run(calls, parts_->interrupted);
}

}  // namespace casevault
