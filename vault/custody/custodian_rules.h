#pragma once
#include "vault/custody/custodian_state.h"

// What a custodian may do: decisions over what it knows in memory, and their effects there. Nothing here touches the
// disk or a clock. `now` in Unix milliseconds. Functions that begin with "require" throw Refusal.
namespace casevault::custodian {

inline constexpr std::int64_t kMaxOrderAheadMs = 24 * 3'600'000LL;  // phones have wrong clocks
inline constexpr std::int64_t kOrderKeptMs =
    24 * 3'600'000LL;                                // one that lapsed, so that nobody brings many short ones
inline constexpr std::size_t kMaxOpenOrders = 64;    // brought by one card and kept: done or waiting
inline constexpr std::size_t kMaxWaitingOrders = 4;  // brought by one card

// ---- States.
/// The lease: true when the vault has just become locked by it. A sign of life in the future counts as one of now.
bool lapse(Vault& vault, std::int64_t now);
/// From when on silence locks a vault that is in `state`; 0: never.
std::int64_t silence_locks_at(const Vault& vault, State state);
/// 403 unless the vault is active, or locked by the duress of just this user.
void require_open(const Vault& vault, const std::optional<CustodyId>& user);
void require_open(const Scope& scope);
/// As devices see it: after duress they are told what a coercer expects.
State state_for_device(const Vault& vault);

// ---- Who.
/// 401 for a key that is no device of the vault, 403 for a burned one.
const Device& require_device(const Vault& vault, const VerifyKey& key);
void require_owner(const Vault& vault, const VerifyKey& key);

// ---- Signed statements.
/// Whether the statement is news. False for the very one that is in force: it is answered once more and changes
/// nothing. 409 for an older one, 401 (time) for one from the future.
bool require_newer(const Stamp& in_force, const Stamp& statement, std::int64_t now);
/// 401 (time) for a statement that is not of the last minutes.
void require_fresh(const Stamp& statement, std::int64_t now);

// ---- Policies and devices.
/// Orders that wait and are signed only by cards that `policy` does not have: a new policy is the end of them.
std::vector<Sha256Digest> voided_orders(const Vault& vault, const Policy& policy);
/// 409 when cards or quorum are to change while an order waits for signatures that a card which stays has signed.
void require_replaceable(const Vault& vault, const Policy& policy, std::int64_t now);
/// 403 for a burned key or id, 409 for an id or key that is taken otherwise or when there are too many. False when just
/// this device is there.
bool require_new_device(const Devices& devices, const CustodyId& id, const VerifyKey& key);

// ---- Tries.
/// Counts an evaluation; 403 (tries) when there were ten already.
void count_try(Scope& scope, std::int64_t now);
enum class Confirmed { kByUser, kByDuress };
/// 401 (signature) when it is neither key on file.
Confirmed require_confirmer(const Scope& scope, const VerifyKey& by);
/// Remembers what it answers and forgets the tries.
void take_confirmation(Scope& scope, const Stamp& statement, std::int64_t now);
void lock_for_duress(Vault& vault, const CustodyId& user);

// ---- Orders.
std::size_t signatures_needed(const Policy& policy, OrderType type);
/// An order that was not here before: its times, its scope, whether it makes sense in this state.
void require_valid(const Vault& vault, const OrderTerms& terms, std::int64_t now);
/// 403 unless all are of cards of this vault and right.
void require_card_signatures(const Vault& vault, const std::string& statement,
                             const std::vector<CardSignature>& signatures);
/// Puts that signature first whose card may bring a new order: 403 (waiting) when an order of each has to wait and one
/// of this type and scope, or too many of others, waits already; 429 (rate) when each has brought too many. So one card
/// cannot use up the room of another.
void choose_bringer(const Vault& vault, const OrderTerms& terms, std::vector<CardSignature>& signatures,
                    std::int64_t now);
/// Drops signatures of an order that waits whose cards are not in the policy any more; false when there is none.
bool drop_former_cards(const Vault& vault, Order& order);
/// Adds those of new cards; false when there is none.
bool add_signatures(Order& order, const std::vector<CardSignature>& signatures);

/// What an order did in memory, for the store to follow.
struct Effect {
  std::size_t affected = 0;  // secrets whose state changed; for burn, devices
  bool vault_changed = false;
  bool erase_all = false;           // every secret of the vault
  std::vector<CustodyId> scopes;    // changed
  bool erase_scope = false;         // every secret of the one that changed
  std::optional<CustodyId> device;  // changed
};
/// Carries it out and gives it its number. A scope or device that is not known here is made, in its final state: only
/// tombstones tell of such.
Effect carry_out(Vault& vault, Order& order, std::int64_t now);
/// Orders as they are shown: of each card that brought some the newest that waits and the newest that was done, then
/// the second ones, and so on, so that those of one card hide nobody else's. Each time those that wait come first.
std::vector<const Order*> orders_in_turn(const Vault& vault, std::int64_t now);
/// Orders to forget: lapsed long ago, and the oldest expired ones where there are very many.
std::vector<Sha256Digest> outdated_orders(const Vault& vault, std::int64_t now);

}  // namespace casevault::custodian
