#include "crypto/age_header.h"

#include <algorithm>

#include "crypto/age_error.h"
#include "crypto/encoding.h"
#include "crypto/kdf.h"

namespace casevault {
namespace {

constexpr std::string_view kVersionStart = "age-encryption.org/";
constexpr std::string_view kVersionLine = "age-encryption.org/v1";
constexpr std::string_view kStanzaStart = "->";
constexpr std::string_view kEndStart = "---";
constexpr std::size_t kBodyColumns = 64;
constexpr std::size_t kBodyLineSize = 48;  // bytes that fill the columns

using HeaderMacKey = Key<struct HeaderMacPurpose>;

[[noreturn]] void fail(const std::string& what) { throw AgeError(AgeFault::kHeader, "header: " + what); }

bool is_argument(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= 33 && c <= 126; });
}

class HeaderReader {
 public:
  explicit HeaderReader(BufferedSource& input) : input_(input) {}

  AgeHeader read() {
    read_version();
    AgeHeader header;
    while (true) {
      const std::string_view text = line();
      if (text.starts_with(kEndStart)) {
        if (header.stanzas.empty()) fail("no recipients");
        header.mac = mac(text);
        return header;
      }
      if (header.stanzas.size() == kAgeMaxStanzas) fail("too many recipients");
      AgeStanza& stanza = header.stanzas.emplace_back();
      stanza.arguments = arguments(text);
      stanza.body = read_body();
    }
  }

 private:
  std::string_view line() {
    const auto line = input_.take_line(kAgeMaxLineSize);
    if (!line) fail("a line is too long");
    if (!line->ended) fail("it is cut off");
    size_ += line->text.size() + 1;
    if (size_ > kAgeMaxHeaderSize) fail("it is too long");
    return line->text;
  }

  void read_version() {
    const auto line = input_.take_line(kAgeMaxLineSize);
    const std::string_view text = line && line->ended ? line->text : std::string_view();
    if (!text.starts_with(kVersionStart)) fail("this is not an age file");
    if (text != kVersionLine) fail("a version of age that is not known here");
    size_ += text.size() + 1;
  }

  static std::vector<std::string> arguments(std::string_view text) {
    if (!text.starts_with(kStanzaStart)) fail("a recipient does not begin with \"->\"");
    text.remove_prefix(kStanzaStart.size());
    std::vector<std::string> arguments;
    while (!text.empty()) {
      const std::string_view argument = text.substr(1, text.find(' ', 1) - 1);
      if (text.front() != ' ' || !is_argument(argument)) fail("a recipient's arguments are malformed");
      arguments.emplace_back(argument);
      text.remove_prefix(1 + argument.size());
    }
    if (arguments.empty()) fail("a recipient without arguments");
    return arguments;
  }

  // Ends with a line that is not full, which may be empty.
  Bytes read_body() {
    Bytes body;
    while (true) {
      const std::string_view text = line();
      const auto bytes = from_base64_unpadded(text);
      if (!bytes || text.size() > kBodyColumns) fail("a recipient's body is malformed");
      body.insert(body.end(), bytes->begin(), bytes->end());
      if (text.size() < kBodyColumns) return body;
    }
  }

  static AgeHeaderMac mac(std::string_view text) {
    text.remove_prefix(kEndStart.size());
    if (!text.starts_with(' ')) fail("the line of the MAC is malformed");
    const auto bytes = from_base64_unpadded(text.substr(1));
    if (!bytes || bytes->size() != AgeHeaderMac{}.size()) fail("the MAC is malformed");
    return to_array<AgeHeaderMac{}.size()>(*bytes);
  }

  BufferedSource& input_;
  std::size_t size_ = 0;  // bytes read
};

void append_body(std::string& text, ByteView body) {
  while (body.size() >= kBodyLineSize) {
    text += to_base64_unpadded(body.first(kBodyLineSize)) + '\n';
    body = body.subspan(kBodyLineSize);
  }
  text += to_base64_unpadded(body) + '\n';
}

void append_stanza(std::string& text, const AgeStanza& stanza) {
  require(!stanza.arguments.empty() && std::ranges::all_of(stanza.arguments, is_argument), "age: a malformed stanza");
  const std::size_t begin = text.size();
  text += kStanzaStart;
  for (const std::string& argument : stanza.arguments) text += ' ' + argument;
  require(text.size() - begin <= kAgeMaxLineSize, "age: a stanza with too long arguments");
  text += '\n';
  append_body(text, stanza.body);
}

// All but the MAC and what is around it: what the MAC is made over.
std::string encode_without_mac(const AgeHeader& header) {
  std::string text = std::string(kVersionLine) + '\n';
  for (const AgeStanza& stanza : header.stanzas) append_stanza(text, stanza);
  return text += kEndStart;
}

}  // namespace

std::string encode_age_header(const AgeHeader& header) {
  require(!header.stanzas.empty(), "age: a header without recipients");
  std::string text = encode_without_mac(header) + ' ' + to_base64_unpadded(header.mac) + '\n';
  if (text.size() > kAgeMaxHeaderSize || header.stanzas.size() > kAgeMaxStanzas) {
    throw Error(Errc::kUsage, "too many recipients for one age file");
  }
  return text;
}

AgeHeader read_age_header(BufferedSource& input) { return HeaderReader(input).read(); }

AgeHeaderMac age_header_mac(const FileKey& file_key, const AgeHeader& header) {
  HeaderMacKey key = HeaderMacKey::zero();
  hkdf_sha256(file_key.expose_secret(), {}, as_bytes("header"), key.expose_secret_for_writing());
  return hmac_sha256(key.expose_secret(), as_bytes(encode_without_mac(header)));
}

}  // namespace casevault
