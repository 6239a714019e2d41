#include "vault/custody/wire.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/text_lines.h"
#include "vault/storage/json.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::string_view kIdLabel = "casevault/v1/custody-id";
constexpr std::string_view kInvitationTitle = "casevault-custodian:1";
constexpr std::size_t kInvitationParts = 8;
constexpr std::size_t kMaxInvitation = 2048;  // bytes
constexpr std::size_t kMaxName = 64;          // bytes; the place too
constexpr std::size_t kMaxHost = 253;         // characters, RFC 1035 section 2.3.4 as written with dots

std::string_view to_string(ScopeKind kind) {
  static constexpr std::array<std::string_view, 3> kKinds = {"user", "case", "device"};
  return kKinds.at(static_cast<std::size_t>(kind));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_unreserved(char c) {  // RFC 3986 section 2.3
  return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool is_label(std::string_view text) {
  return text.size() <= kMaxName && is_well_formed_utf8(text) && escape_for_display(text) == text;
}

bool is_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']') && host.size() < INET6_ADDRSTRLEN + 2) {
    in6_addr address{};
    return ::inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), &address) == 1;
  }
  return !host.empty() && host.size() <= kMaxHost && (is_letter(host.front()) || is_digit(host.front())) &&
         std::ranges::all_of(host, [](char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-'; });
}

std::optional<std::array<std::string_view, kInvitationParts>> split(std::string_view line) {
  std::array<std::string_view, kInvitationParts> parts;
  for (std::size_t i = 0; i < kInvitationParts; ++i) {
    const auto end = i + 1 < kInvitationParts ? line.find('/') : line.size();
    if (end == std::string_view::npos) return std::nullopt;
    parts[i] = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return parts;
}

std::optional<ByteArray<32>> array_from_base64url(std::string_view text) {
  const auto bytes = from_base64url(text);
  if (!bytes || bytes->size() != 32) return std::nullopt;
  return to_array<32>(*bytes);
}

std::optional<Invitation> invitation_from(std::string_view line) {
  const auto parts = line.size() <= kMaxInvitation ? split(line) : std::nullopt;
  if (!parts || (*parts)[0] != kInvitationTitle) return std::nullopt;
  const auto name = from_percent_encoded((*parts)[1]);
  const auto place = from_percent_encoded((*parts)[2]);
  std::array<ByteArray<32>, 4> keys;  // pin, key, box, token
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto bytes = array_from_base64url((*parts)[4 + i]);
    if (!bytes) return std::nullopt;
    keys[i] = *bytes;
  }
  if (!name || name->empty() || !is_label(*name) || !place || !is_label(*place)) return std::nullopt;
  if (!is_custodian_address((*parts)[3])) return std::nullopt;
  Invitation invitation{{*name, *place, std::string((*parts)[3]), keys[0], {keys[1]}, {keys[2]}}, keys[3]};
  if (invitation.encode() != line) return std::nullopt;
  return invitation;
}

}  // namespace

CustodyId custody_id(const CustodySalt& salt, ScopeKind kind, std::string_view name) {
  constexpr std::byte kSeparator{0};
  return blake2b_128({as_bytes(kIdLabel), salt, as_bytes(to_string(kind)), ByteView(&kSeparator, 1), as_bytes(name)});
}

std::string to_percent_encoded(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    const auto value = static_cast<unsigned char>(c);
    (out += '%') += {kDigits[value >> 4], kDigits[value & 15]};
  }
  return out;
}

std::optional<std::string> from_percent_encoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  if (to_percent_encoded(out) != text) return std::nullopt;  // another spelling
  return out;
}

std::string custodian_log_origin(const VerifyKey& custodian) {
  return "casevault-custodian/" + to_hex(ByteView(custodian.bytes).first(16));
}

bool is_custodian_address(std::string_view address) {
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos || !is_host(address.substr(0, colon))) return false;
  const auto port = from_decimal(address.substr(colon + 1));
  return port && *port > 0 && *port <= 65'535;
}

std::string Invitation::encode() const {
  std::string line(kInvitationTitle);
  for (const auto& part : {to_percent_encoded(custodian.name), to_percent_encoded(custodian.place), custodian.address,
                           to_base64url(custodian.pin), to_base64url(custodian.key.bytes),
                           to_base64url(custodian.box.bytes), to_base64url(token)}) {
    (line += '/') += part;
  }
  return line;
}

Invitation Invitation::parse(std::string_view line) {
  auto invitation = invitation_from(line);
  if (invitation) return *std::move(invitation);
  throw Error(Errc::kUsage, "this is not an invitation from a custodian, or not all of it",
              "paste the whole line that 'casevault custodian invite' printed; it begins with casevault-custodian:1/");
}

WireStatement sign_statement(std::string_view domain, const nlohmann::json& statement, const SigningKey& key) {
  WireStatement out{key.verify_key(), statement.dump(), {}};
  out.signature = key.sign(domain, as_bytes(out.statement));
  return out;
}

nlohmann::json to_json(const WireStatement& statement) {
  return {{"by", to_hex(statement.by.bytes)},
          {"signature", to_base64(statement.signature)},
          {"statement", statement.statement}};
}

WireStatement wire_statement_from_json(const nlohmann::json& object, std::string_view domain, const std::string& what) {
  Fields fields(object, what);
  if (!object.is_object()) fields.fail();
  WireStatement statement{{fields.hex<32>("by")}, fields.text("statement"), {}};
  const auto signature = array_from_base64<64>(fields.text("signature"));
  if (!signature) fields.fail();
  fields.end();
  statement.signature = *signature;
  parse_canonical(statement.statement, what);
  if (!verify(statement.by, domain, as_bytes(statement.statement), statement.signature)) {
    throw Error(Errc::kDamaged, what + " is not signed by the key that it names");
  }
  return statement;
}

}  // namespace casevault
