#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/hash.h"
#include "vault/custody/wire.h"

namespace casevault {

// Orders, the receipts of custodians for them, and who has obeyed: docs/custody-protocol.md section 3, "POST
// /v1/orders" and "GET /v1/orders". What comes from outside throws Error{kDamaged} where it is not exactly as it
// should be.

inline constexpr std::size_t kMaxOrderReason = 500;    // bytes, as they stand in JSON
inline constexpr std::size_t kMaxOrderPages = 16;      // of one custodian: the first ones have the newest
inline constexpr std::size_t kMaxOrdersShown = 1'000;  // in one answer of a custodian
inline constexpr std::int64_t kOrderLifeMs = 3 * 24 * 3600 * 1000LL;  // of ours: time for a second card elsewhere

enum class OrderType { kLock, kUnlock, kDestroy, kBurn };
std::string_view to_string(OrderType type);
std::optional<OrderType> parse_order_type(std::string_view text);

/// What an order is about: the whole vault, or one id.
struct OrderScope {
  std::optional<ScopeKind> kind;  // none: the whole vault
  CustodyId id{};                 // zero for the whole vault
  bool operator==(const OrderScope&) const = default;
  std::string encode() const;  // "vault", "user:<hex>", "case:<hex>", "device:<hex>"
  static std::optional<OrderScope> parse(std::string_view text);
};

/// The statement that cards sign. An object that exists is well-formed; whether it is in force is `is_in_force`.
struct Order {
  OrderType type = OrderType::kLock;
  OrderScope scope;
  VaultId vault{};
  std::int64_t issued_ms = 0;
  std::int64_t expires_ms = 0;
  std::string reason;  // UTF-8, may be empty
  ByteArray<16> nonce{};

  /// A new one, that expires after kOrderLifeMs.
  /// @throws Error{kUsage}: a burn of anything but a device, anything else of one, a reason that is too long or not
  /// UTF-8.
  static Order make(OrderType type, const OrderScope& scope, const VaultId& vault, std::string reason,
                    std::int64_t now_ms);
  /// Canonical JSON. What parses encodes back to the same bytes.
  std::string statement() const;
  static Order parse(std::string_view statement);
  bool is_in_force(std::int64_t now_ms) const { return now_ms < expires_ms; }
};

struct OrderSignature {
  VerifyKey card;
  Signature signature{};
};

/// The body of `POST /v1/orders`. Nothing about its signatures is checked by being here.
struct SignedOrder {
  std::string statement;
  std::vector<OrderSignature> signatures;  // one for each card

  std::string encode() const;
  static SignedOrder parse(std::string_view body);
  /// The same as a value, as it stands in the answer of `GET /v1/orders`.
  static SignedOrder from_json(const nlohmann::json& object);
  bool is_signed_by(const VerifyKey& card) const;
  /// Adds the signature of a card; replaces what stands there under its key.
  void sign(const SigningKey& card);
  /// Takes over the signatures that hold, of cards that are not there yet. @pre the same statement
  void join(const SignedOrder& other);
};

/// What a custodian says that it did.
struct OrderReceipt {
  bool done = false;           // false: it waits for more signatures
  std::uint64_t affected = 0;  // secrets, or devices
  std::uint64_t have = 0;      // signatures of different cards
  std::uint64_t need = 0;
  std::int64_t time_ms = 0;  // by its clock
};
/// @throws Error{kDamaged} also when it is not signed by `custodian`, or for another order.
OrderReceipt parse_receipt(std::string_view body, const VerifyKey& custodian, const SignedOrder& order);

/// How far a machine has come with an order.
enum class GuardStage { kReceived, kKeysDestroyed, kReopeningFailed };
std::string_view to_string(GuardStage stage);
std::optional<GuardStage> parse_guard_stage(std::string_view text);

/// A machine's own word. Its signature holds under `device`; that this is a device of the vault is the custodian's
/// word.
struct GuardReceipt {
  VerifyKey device;
  GuardStage stage = GuardStage::kReceived;
  std::int64_t time_ms = 0;  // by its clock
  std::vector<std::string> not_reached;
};

/// One order as it stands at one custodian.
struct OrderStanding {
  std::uint64_t number = 0;  // 0: not done yet
  std::int64_t done_ms = 0;  // 0: not done yet
  std::uint64_t have = 0;
  std::uint64_t need = 0;
  SignedOrder signed_order;
  Order order;  // of signed_order.statement
  std::vector<GuardReceipt> receipts;
};

/// The answer of `GET /v1/orders`. Not signed: what it says is as good as the connection.
struct OrdersAnswer {
  std::string state;            // "active", "locked", "destroyed"
  std::int64_t silence_ms = 0;  // from when on silence locks the vault there; 0: never, or it is locked
  std::vector<OrderStanding> orders;
  std::uint64_t next = 0;  // `from` of the next page; 0: there is none
  /// Takes over what another page has and this has not.
  void join(OrdersAnswer page);
  static OrdersAnswer parse(std::string_view body, const VaultId& vault);
  /// The order of this type and scope that waits for signatures at `now_ms`, with the most of them, of several the one
  /// that waits longest; nullptr without.
  const OrderStanding* find_waiting(OrderType type, const OrderScope& scope, std::int64_t now_ms) const;
};

/// The order of this type and scope that waits for signatures anywhere, with those of all custodians that have it; of
/// several the one with the most, then the one that waits longest. nullopt without one.
std::optional<SignedOrder> find_waiting(const std::vector<OrdersAnswer>& answers, OrderType type,
                                        const OrderScope& scope, std::int64_t now_ms);

}  // namespace casevault
