#pragma once
#include <nlohmann/json_fwd.hpp>
#include <set>

#include "vault/custody/custodian.h"
#include "vault/custody/custodian_gate.h"
#include "vault/custody/custodian_log.h"
#include "vault/custody/custodian_messages.h"
#include "vault/custody/custodian_refusal.h"
#include "vault/custody/custodian_rules.h"
#include "vault/custody/custodian_store.h"
#include "vault/custody/custodian_tombstones.h"

namespace casevault::custodian {

struct Request {
  const WireRequest& wire;
  const WireSignature* signature;
  std::int64_t now = 0;  // Unix milliseconds
};

/// What a custodian is made of, and the steps that its endpoints have in common. What is in memory and what is in the
/// store's open transaction always say the same, except between the lines of one function.
struct Core {
  /// @pre nobody else serves it.
  Core(std::unique_ptr<Store> store, const Path& data, std::int64_t now);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  std::unique_ptr<Store> store;
  Keys keys;
  Log log;
  Tombstones tombstones;
  RequestGate gate;
  Vaults vaults;
  std::set<VaultId> news;       // vaults with orders done since the last commit
  std::set<VaultId> kept_news;  // vaults with such orders that a restart would do again, just as they are
  std::int64_t now;             // of the last request
  bool is_disk_full = false;

  // ---- Who asks, for what. They throw Refusal.
  CheckedSignature signer(const Request& request) const;
  void require_to(const VerifyKey& to) const;
  /// The vault of this id that is theirs who signed with `key`, by what it knows of them. 401 when there is one, but it
  /// is of others, 403 when it was destroyed, 404 when there is none.
  using IsTheirs = bool (*)(const Vault& vault, const VerifyKey& key);
  Vault& find_vault(const VaultId& id, const VerifyKey& key, IsTheirs is_theirs);
  /// The same, and looks at its lease.
  Vault& vault(const VaultId& id, const VerifyKey& key, IsTheirs is_theirs);
  /// 409 where a key is a device or card of another vault of the same id: it would be nobody's.
  void require_unclaimed(const Vault* vault, const VaultId& id, const std::vector<VerifyKey>& keys);
  /// The vault, for one of its devices, whose nonce is taken.
  Vault& vault_for_device(const CheckedSignature& signer, const VerifyKey& to, const VaultId& id);

  // ---- Changes to memory that the store has to follow.
  /// Locks it if its lease has run out.
  void look_at_lease(Vault& vault);
  void note_life(Vault& vault);
  void add_device(Vault& vault, const Device& device);
  /// With the number, the deletions, the log entry and the receipt.
  void finish_order(Vault& vault, Order& order, std::int64_t at);
  /// Carries out what tombstones tell of this vault and its store does not. So an order that has one lasts from then on
  /// and may be told of before the commit: but only where no other one, which a crash would undo, was numbered before.
  void apply_tombstones(Vault& vault);

  // ---- The log.
  /// Appends to it; counts for the vault and the device that it is about.
  void write(const LogEntry& entry);
  /// Does it; a refusal of it by a status of 403 becomes an entry. A few for each vault and hour, so that nobody fills
  /// the disk.
  template <typename Act>
  auto logged_refusal(const LogEntry& entry, const Act& act) {
    try {
      return act();
    } catch (const Refusal& refusal) {
      if (refusal.status == 403) log_refusal(entry, refusal);
      throw;
    }
  }

  void log_refusal(LogEntry entry, const Refusal& refusal);

 private:
  struct Refusals {
    std::int64_t hour = 0;
    std::size_t count = 0;
  };
  std::map<VaultKey, Refusals> refusals_;
};

/// Also one that was burned.
bool has_device(const Vault& vault, const VerifyKey& key);

WireAnswer answer_of(const nlohmann::json& body);
WireAnswer answer_of(const Refusal& refusal);
/// A statement of the custodian's own, with a nonce.
WireStatement signed_by(const Core& core, std::string_view domain, nlohmann::json statement);
nlohmann::json to_json(const Order& order);

// ---- One function for each endpoint (docs/custody-protocol.md section 3).
WireAnswer enrol(Core& core, const Request& request);           // custodian_enrolment.cpp
WireAnswer change_policy(Core& core, const Request& request);   //
WireAnswer enrol_device(Core& core, const Request& request);    //
WireAnswer deposit(Core& core, const Request& request);         // custodian_deposits.cpp
WireAnswer evaluate(Core& core, const Request& request);        // custodian_answers.cpp
WireAnswer release(Core& core, const Request& request);         //
WireAnswer confirm(Core& core, const Request& request);         //
WireAnswer take_order(Core& core, const Request& request);      // custodian_orders.cpp
WireAnswer show_orders(Core& core, const Request& request);     //
WireAnswer take_receipt(Core& core, const Request& request);    //
WireAnswer statement(Core& core, const Request& request);       // custodian_accounts.cpp
WireAnswer checkpoint(Core& core, const Request& request);      //
WireAnswer consistency(Core& core, const Request& request);     //
WireAnswer add_checkpoint(Core& core, const Request& request);  //

// ---- The long poll.
Custodian::WaitOrAnswer begin_wait(Core& core, const Request& request);
/// nullopt when there is nothing above `after`.
std::optional<WireAnswer> orders_after(Core& core, const OrderWait& wait);
WireAnswer no_orders(Core& core, const OrderWait& wait);

}  // namespace casevault::custodian
