#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/ristretto.h"
#include "vault/custody/custodian_state.h"

// Bodies and statements as a custodian reads them: strict, and without looking at what it knows. Every function throws
// Error{kDamaged} for what is malformed, and Refusal (401, signature) for a statement that its key did not sign.
namespace casevault::custodian {

inline constexpr std::size_t kMaxPuts = 100;
inline constexpr std::size_t kMaxDeletes = 500;
inline constexpr std::size_t kMaxReleases = 64;

/// `by`, and when and what it was that it signed.
struct Signed {
  VerifyKey by;
  Stamp stamp;
};

struct NewDevice {
  CustodyId id{};
  VerifyKey key;
};

Policy parse_policy(std::string_view statement);
OrderTerms parse_order(std::string_view statement);

struct EnrolRequest {
  VerifyKey to;
  NewDevice device;
  ByteArray<32> token{};
  WireStatement policy_text;
  Policy policy;
};
EnrolRequest parse_enrol(std::string_view body);

struct DeviceChange {
  Signed by;
  VerifyKey to;
  VaultId vault{};
  std::vector<NewDevice> add;
  std::vector<VerifyKey> remove;
};
struct PolicyRequest {
  VerifyKey to;
  VaultId vault{};
  std::optional<std::pair<WireStatement, Policy>> policy;
  std::optional<DeviceChange> devices;
};
PolicyRequest parse_policy_request(std::string_view body);

struct DeviceRequest {
  VerifyKey to;
  VaultId vault{};
  NewDevice device;
  ByteArray<32> token{};
};
DeviceRequest parse_device_request(std::string_view body);

struct Put {
  CustodyId id{};
  ScopeKind kind = ScopeKind::kCase;
  SecretName name;
  Bytes sealed;
  VerifyKey user;
  VerifyKey duress;
};
/// The duress key of an oprf secret that is there.
struct DuressChange {
  CustodyId id{};
  std::uint32_t version = 0;
  VerifyKey duress;
};
struct DepositRequest {
  Signed by;
  VerifyKey to;
  VaultId vault{};
  std::vector<Put> puts;
  std::vector<std::pair<CustodyId, SecretName>> deletes;
  std::vector<DuressChange> duress;
};
DepositRequest parse_deposit(std::string_view body);

struct EvaluateRequest {
  VerifyKey to;
  VaultId vault{};
  CustodyId id{};
  std::uint32_t version = 0;
  Element element;
};
EvaluateRequest parse_evaluate(std::string_view body);

struct ReleaseRequest {
  VerifyKey to;
  VaultId vault{};
  BoxPublicKey box;
  std::vector<std::pair<CustodyId, std::uint32_t>> secrets;  // id, version
};
ReleaseRequest parse_release(std::string_view body);

struct ConfirmRequest {
  Signed by;
  VerifyKey to;
  VaultId vault{};
  CustodyId id{};
};
ConfirmRequest parse_confirm(std::string_view body);

struct OrderRequest {
  std::string statement;
  OrderTerms terms;
  std::vector<CardSignature> signatures;  // of different cards, not checked yet: which cards may sign the vault knows
};
OrderRequest parse_order_request(std::string_view body);

struct GuardReceiptRequest {
  VerifyKey to;
  VaultId vault{};
  VerifyKey device;
  Sha256Digest order{};
  std::string stage;
  std::string text;  // the signed receipt as it came, JSON
};
GuardReceiptRequest parse_guard_receipt(std::string_view body);

/// The query of a GET: every parameter once, as `name=value`, nothing percent-encoded.
class Query {
 public:
  /// `query` with its "?".
  explicit Query(std::string_view query);
  std::uint64_t number(std::string_view name);  // 0 … 2^53, decimal without leading zeros
  template <std::size_t N>
  ByteArray<N> hex(std::string_view name) {
    const auto bytes = array_from_hex<N>(text(name));
    if (!bytes) fail();
    return *bytes;
  }
  bool has(std::string_view name) const { return values_.contains(name); }
  void end() const;

 private:
  std::string text(std::string_view name);
  [[noreturn]] static void fail();
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace casevault::custodian
