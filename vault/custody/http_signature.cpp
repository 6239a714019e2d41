#include "vault/custody/http_signature.h"

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/random.h"
#include "crypto/text_lines.h"
#include "vault/custody/wire.h"

namespace casevault {
namespace {

constexpr std::string_view kLabel = "sig=";
constexpr std::uint64_t kMaxInteger = 999'999'999'999'999;  // RFC 8941 section 3.3.1

// A newline in one of them would write lines of its own into what is signed.
bool is_visible_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

bool can_be_signed(const WireRequest& request) {
  return !request.method.empty() && is_visible_ascii(request.method) && request.path.starts_with('/') &&
         request.path.find('?') == std::string::npos && is_visible_ascii(request.path) &&
         (request.query.empty() || request.query.starts_with('?')) && is_visible_ascii(request.query);
}

// RFC 9530, section 2.
std::string digest_of(std::string_view body) {
  if (body.empty()) return {};
  return "sha-256=:" + to_base64(sha256(as_bytes(body))) + ":";
}

std::vector<SignedComponent> components_of(const WireRequest& request, std::string_view digest) {
  std::vector<SignedComponent> components{{"@method", request.method}, {"@path", request.path}};
  if (!request.query.empty()) components.push_back({"@query", request.query});
  if (!digest.empty()) components.push_back({"content-digest", digest});
  return components;
}

std::string parameters_of(std::span<const SignedComponent> components, const CheckedSignature& values) {
  return component_list(components) + ";created=" + std::to_string(values.created) + ";nonce=\"" +
         to_hex(values.nonce) + "\";keyid=\"" + to_hex(values.key.bytes) + "\";alg=\"ed25519\"";
}

/// Takes what stands before `end`, and `end`, off the front of `text`; nullopt where `end` is not there.
std::optional<std::string_view> take_until(std::string_view& text, std::string_view end) {
  const auto at = text.find(end);
  if (at == std::string_view::npos) return std::nullopt;
  const auto taken = text.substr(0, at);
  text.remove_prefix(at + end.size());
  return taken;
}

// The values out of Signature-Input; that the rest of it is as it should be is seen by writing it again.
std::optional<CheckedSignature> values_of(std::string_view input) {
  if (!take_until(input, ";created=")) return std::nullopt;
  const auto created = take_until(input, ";nonce=\"");
  const auto nonce = created ? take_until(input, "\";keyid=\"") : std::nullopt;
  const auto key = nonce ? take_until(input, "\"") : std::nullopt;
  if (!key) return std::nullopt;
  const auto seconds = from_decimal(*created);
  const auto nonce_bytes = array_from_hex<16>(*nonce);
  const auto key_bytes = array_from_hex<32>(*key);
  if (!seconds || *seconds > kMaxInteger || !nonce_bytes || !key_bytes) return std::nullopt;
  return CheckedSignature{{*key_bytes}, static_cast<std::int64_t>(*seconds), *nonce_bytes};
}

std::optional<Signature> signature_of(std::string_view header) {
  constexpr std::string_view kBefore = "sig=:";
  if (!header.starts_with(kBefore) || !header.ends_with(':') || header.size() <= kBefore.size()) return std::nullopt;
  return array_from_base64<64>(header.substr(kBefore.size(), header.size() - kBefore.size() - 1));
}

}  // namespace

std::string component_list(std::span<const SignedComponent> components) {
  std::string list = "(";
  for (const auto& component : components) {
    if (list.size() > 1) list += ' ';
    (list += '"').append(component.name) += '"';
  }
  return list + ")";
}

std::string signature_base(std::span<const SignedComponent> components, std::string_view parameters) {
  std::string base;
  for (const auto& component : components) {
    ((base += '"').append(component.name) += "\": ").append(component.value) += '\n';
  }
  return (base += "\"@signature-params\": ").append(parameters);
}

WireSignature sign_request(const WireRequest& request, const SigningKey& key, std::int64_t created) {
  require(can_be_signed(request), "a request that cannot be signed");
  WireSignature headers;
  headers.content_digest = digest_of(request.body);
  const auto components = components_of(request, headers.content_digest);
  const auto parameters = parameters_of(components, {key.verify_key(), created, random_array<16>()});
  headers.signature_input.append(kLabel).append(parameters);
  headers.signature = "sig=:" + to_base64(key.sign_raw(as_bytes(signature_base(components, parameters)))) + ":";
  return headers;
}

std::optional<CheckedSignature> check_request(const WireRequest& request, const WireSignature& headers) {
  if (!can_be_signed(request) || headers.content_digest != digest_of(request.body)) return std::nullopt;
  const auto values = values_of(headers.signature_input);
  const auto signature = signature_of(headers.signature);
  if (!values || !signature) return std::nullopt;
  const auto components = components_of(request, headers.content_digest);
  const auto parameters = parameters_of(components, *values);
  if (headers.signature_input != std::string(kLabel) + parameters) return std::nullopt;
  if (!verify_raw(values->key, as_bytes(signature_base(components, parameters)), *signature)) return std::nullopt;
  return values;
}

}  // namespace casevault
