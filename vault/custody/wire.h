#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/box.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "vault/access/identity.h"

namespace casevault {

// What vaults and custodians say to each other: docs/custody-protocol.md, whose sections are named here.

inline constexpr std::size_t kMaxWireBody = 65'536;     // bytes
inline constexpr std::int64_t kMaxWireClockSkew = 300;  // seconds
inline constexpr std::size_t kMaxCustodians = 32;
inline constexpr std::size_t kMaxCards = 32;
inline constexpr std::int64_t kMaxOrderLifeMs = 7 * 24 * 3600 * 1000LL;

using CustodyId = ByteArray<16>;
using CustodySalt = ByteArray<16>;
enum class ScopeKind { kUser, kCase, kDevice };
/// Section 1: what a custodian knows a user, case or device by.
CustodyId custody_id(const CustodySalt& salt, ScopeKind kind, std::string_view name);

/// RFC 3986 section 2: all but unreserved characters as %XX.
std::string to_percent_encoded(std::string_view text);
/// Strict: only what to_percent_encoded makes. nullopt otherwise.
std::optional<std::string> from_percent_encoded(std::string_view text);

/// Where one custodian is and what proves that it is it.
struct CustodianAddress {
  std::string name;
  std::string place;    // jurisdiction, for people
  std::string address;  // host:port; host may be a name, an IPv4 address, an IPv6 address in brackets, or *.onion
  ByteArray<32> pin{};  // SHA-256 of its TLS key's SubjectPublicKeyInfo
  VerifyKey key;        // signs its answers
  BoxPublicKey box;     // shares are sealed to it
  bool operator==(const CustodianAddress&) const = default;
};

/// Section 5: the origin of its log's checkpoints, under which it also cosigns those of others.
std::string custodian_log_origin(const VerifyKey& custodian);

/// HOST:PORT as above.
bool is_custodian_address(std::string_view address);

/// Section 1, one line. What parses encodes back to the same bytes.
struct Invitation {
  CustodianAddress custodian;
  ByteArray<32> token{};
  std::string encode() const;
  /// @throws Error{kUsage}: it is typed or pasted by people.
  static Invitation parse(std::string_view line);
};

/// Section 2, "Signed statements".
struct WireStatement {
  VerifyKey by;
  std::string statement;  // canonical JSON
  Signature signature{};
};
WireStatement sign_statement(std::string_view domain, const nlohmann::json& statement, const SigningKey& key);
nlohmann::json to_json(const WireStatement& statement);
/// Checks shape and signature. @throws Error{kDamaged}
WireStatement wire_statement_from_json(const nlohmann::json& object, std::string_view domain, const std::string& what);

inline constexpr std::string_view kPolicyDomain = "casevault/v1/custody-policy";
inline constexpr std::string_view kDevicesDomain = "casevault/v1/custody-devices";
inline constexpr std::string_view kSecretsDomain = "casevault/v1/custody-secrets";
inline constexpr std::string_view kConfirmDomain = "casevault/v1/custody-confirm";
inline constexpr std::string_view kOrderDomain = "casevault/v1/order";
inline constexpr std::string_view kReceiptDomain = "casevault/v1/custody-receipt";
inline constexpr std::string_view kGuardReceiptDomain = "casevault/v1/guard-receipt";
inline constexpr std::string_view kStatementDomain = "casevault/v1/custody-statement";

/// A request as RFC 9421 sees it. `path` without the query; `query` with its "?" or empty; `body` empty for GET.
struct WireRequest {
  std::string method;
  std::string path;
  std::string query;
  std::string body;
};
struct WireSignature {
  std::string content_digest;  // header values; content_digest empty without a body
  std::string signature_input;
  std::string signature;
};
/// RFC 9421 section 3.1 in the one form of section 2 of the protocol. `created` in Unix seconds.
WireSignature sign_request(const WireRequest& request, const SigningKey& key, std::int64_t created);

struct CheckedSignature {
  VerifyKey key;  // who signed: still to be compared with who may
  std::int64_t created = 0;
  ByteArray<16> nonce{};
};
/// Strict: exactly that form, the digest of this body, the signature of the key it names. Freshness is the caller's.
/// nullopt when it does not hold.
std::optional<CheckedSignature> check_request(const WireRequest& request, const WireSignature& headers);

}  // namespace casevault
