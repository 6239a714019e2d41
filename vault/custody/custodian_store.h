#pragma once
#include <memory>

#include "crypto/box.h"
#include "crypto/merkle.h"
#include "crypto/ristretto.h"
#include "vault/custody/custodian_state.h"
#include "vault/custody/custodian_tombstones.h"
#include "vault/storage/database.h"

namespace casevault::custodian {

/// How far the log goes.
struct LogHead {
  std::uint64_t size = 0;  // entries
  Sha256Digest root{};
};

/// Its own keys, made once.
struct Keys {
  SigningKey sign;
  BoxKeyPair box;
  SecretBytes tls_key;  // PEM
};

/// The file `store.db`: everything that must not be forgotten. Changes go into one open transaction, which begins with
/// the first of them; `commit` syncs it, destruction drops it. Reads see it.
/// @throws Error as database.h says; after one of them what is open is unknown: end the process.
class Store {
 public:
  /// Keyed by `store.key` in the folder of systemd credentials where that has one, else by the one in `data`.
  /// @throws Error{kNoVault} when nothing was made there yet.
  static std::unique_ptr<Store> open(const Path& data);
  /// The same once more, by its key: inside the sandbox credentials are out of reach. @pre the former one is gone
  static std::unique_ptr<Store> open(const Path& data, DatabaseKey key);
  const DatabaseKey& key() const { return key_; }
  /// With the custodian's keys, and `store.key` where there is none yet. @pre !is_there(data)
  static std::unique_ptr<Store> create(const Path& data, std::string_view name, std::int64_t now_ms);
  static bool is_there(const Path& data);
  ~Store();

  // ---- The custodian itself.
  /// Derived from the store's own.
  const TombstoneKey& tombstone_key() const { return tombstone_key_; }
  Keys keys();
  /// Name, place, address, and the like; empty where it was never set.
  std::string text(std::string_view name);
  void set_text(std::string_view name, std::string_view value);
  std::int64_t awake();  // as put_head was told

  // ---- Vaults, without their secrets' scalars.
  Vaults load();
  void put_vault(const Vault& vault);
  void put_seen(const Vault& vault);
  void put_device(const VaultKey& vault, const Device& device);
  void erase_device(const VaultKey& vault, const CustodyId& device);
  void put_scope(const VaultKey& vault, const CustodyId& id, const Scope& scope);
  void erase_scope(const VaultKey& vault, const CustodyId& id);
  void put_order(const VaultKey& vault, const Sha256Digest& hash, const Order& order);
  void erase_order(const VaultKey& vault, const Sha256Digest& hash);
  void put_guard_receipt(const VaultKey& vault, const Sha256Digest& order, const GuardStage& stage,
                         std::string_view receipt);

  // ---- Secrets.
  void put_secret(const VaultKey& vault, const CustodyId& id, const SecretName& name, const Secret& secret,
                  const Scalar& scalar);
  void put_duress(const VaultKey& vault, const CustodyId& id, const SecretName& name, const VerifyKey& duress);
  /// nullopt when there is none.
  std::optional<Scalar> scalar(const VaultKey& vault, const CustodyId& id, const SecretName& name);
  void erase_secret(const VaultKey& vault, const CustodyId& id, const SecretName& name);
  void erase_secrets(const VaultKey& vault, const CustodyId& id);
  void erase_secrets(const VaultKey& vault);

  // ---- Invitations. Tokens themselves are not kept.
  struct Invited {
    std::int64_t expires = 0;
    std::int64_t used = 0;    // Unix milliseconds; 0: not yet
    Sha256Digest used_for{};  // what it was used for
  };
  void put_invitation(const Sha256Digest& token_hash, std::int64_t expires);
  std::optional<Invited> invitation(const Sha256Digest& token_hash);
  void use_invitation(const Sha256Digest& token_hash, const Sha256Digest& used_for, std::int64_t now_ms);
  void erase_invitations_before(std::int64_t expired_ms);

  // ---- The log.
  LogHead log_head();
  void append_log(std::uint64_t index, const std::optional<VaultKey>& vault, std::int64_t at, std::string_view entry);
  /// Entries from `begin` to before `end`, in order.
  std::vector<std::string> log_entries(std::uint64_t begin, std::uint64_t end);
  struct Numbered {
    std::uint64_t index = 0;
    std::string entry;
  };
  /// At most `max` entries of one vault with from <= at <= until and index >= first, in order.
  std::vector<Numbered> log_of(const VaultKey& vault, std::int64_t from, std::int64_t until, std::uint64_t first,
                               std::size_t max);

  // ---- What was cosigned.
  struct Witnessed {
    LogHead head;
    std::string note;  // signed by the log
  };
  /// The newest of the vault's log with the key in force. Another vault may name the same key: it has nothing of this.
  std::optional<Witnessed> witnessed(const Vault& vault);
  void put_witnessed(const Vault& vault, const Witnessed& witnessed);

  /// `awake`: when the custodian last did something, Unix milliseconds.
  void put_head(const LogHead& log, std::int64_t awake);
  bool has_changes() const { return transaction_.has_value(); }
  /// Nothing to do without changes.
  void commit();

 private:
  Store(Database database, DatabaseKey key);
  void make_keys(std::string_view name, std::int64_t now_ms);
  Statement& writing(Statement& statement);

  using ByKey = std::map<VaultKey, Vault*>;
  void load_devices(const ByKey& vaults);
  void load_scopes(const ByKey& vaults);
  void load_secrets(const ByKey& vaults);
  void load_orders(const ByKey& vaults);
  void load_guard_receipts(const ByKey& vaults);

  DatabaseKey key_;
  Database database_;
  TombstoneKey tombstone_key_;
  struct Statements;
  std::unique_ptr<Statements> sql_;
  std::optional<Transaction> transaction_;  // last: it uses the database
};

}  // namespace casevault::custodian
