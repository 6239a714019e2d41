#include "vault/custody/custodian_store.h"

#include <cstdlib>

#include "crypto/error.h"
#include "crypto/kdf.h"
#include "crypto/key_file.h"
#include "crypto/tls_certificate.h"
#include "vault/custody/custodian_messages.h"
#include "vault/storage/json.h"

namespace casevault::custodian {
namespace {

constexpr int kSchemaVersion = 1;
constexpr const char* kSchema =
    "CREATE TABLE own(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE invitation(hash BLOB PRIMARY KEY, expires INTEGER NOT NULL, used INTEGER NOT NULL, used_for BLOB NOT "
    "NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE vault(id BLOB PRIMARY KEY, policy TEXT NOT NULL, devices_time INTEGER NOT NULL, devices_hash BLOB "
    "NOT "
    "NULL, state INTEGER NOT NULL, cause INTEGER NOT NULL, duress_user BLOB NOT NULL, seen INTEGER NOT NULL) "
    "STRICT, WITHOUT ROWID;"
    "CREATE TABLE device(vault BLOB NOT NULL, id BLOB NOT NULL, key BLOB NOT NULL, burned_by INTEGER NOT NULL, "
    "PRIMARY KEY(vault, id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE scope(vault BLOB NOT NULL, id BLOB NOT NULL, kind INTEGER NOT NULL, state INTEGER NOT NULL, tries "
    "INTEGER NOT NULL, lifted INTEGER NOT NULL, since INTEGER NOT NULL, time INTEGER NOT NULL, hash BLOB NOT NULL, "
    "confirmed_time INTEGER NOT "
    "NULL, confirmed_hash BLOB NOT NULL, unconfirmed INTEGER NOT NULL, unconfirmed_since INTEGER NOT NULL, answered "
    "INTEGER NOT NULL, PRIMARY KEY(vault, id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE secret(vault BLOB NOT NULL, id BLOB NOT NULL, type INTEGER NOT NULL, version INTEGER NOT NULL, by "
    "BLOB NOT NULL, user BLOB NOT NULL, duress BLOB NOT NULL, scalar BLOB NOT NULL, PRIMARY KEY(vault, id, type, "
    "version)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE orders(vault BLOB NOT NULL, hash BLOB NOT NULL, statement TEXT NOT NULL, signatures BLOB NOT NULL, "
    "number INTEGER NOT NULL, done INTEGER NOT NULL, receipt TEXT NOT NULL, PRIMARY KEY(vault, hash)) STRICT, WITHOUT "
    "ROWID;"
    "CREATE TABLE guard_receipt(vault BLOB NOT NULL, hash BLOB NOT NULL, device BLOB NOT NULL, stage TEXT NOT NULL, "
    "receipt TEXT NOT NULL, PRIMARY KEY(vault, hash, device, stage)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE log(number INTEGER PRIMARY KEY, vault BLOB, at INTEGER NOT NULL, entry TEXT NOT NULL) STRICT;"
    "CREATE INDEX log_of ON log(vault, number, at);"
    "CREATE TABLE head(one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, root BLOB NOT NULL, awake "
    "INTEGER "
    "NOT NULL) STRICT;"
    "CREATE TABLE witnessed(key TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL) "
    "STRICT, WITHOUT ROWID;";

constexpr std::size_t kCardSignatureSize = 32 + 64;  // bytes, one after the other in a row of an order

Path store_path(const Path& data) { return data / "store.db"; }

std::optional<DatabaseKey> read_key_file(const Path& path) {
  auto file = File::open_for_reading(path);
  if (!file) return std::nullopt;
  std::uint64_t at = 0;
  auto key = read_key<DatabaseKey>([&](std::span<std::byte> out) {
    const auto size = file->read_at(at, out);
    at += size;
    return size;
  });
  if (!key) throw Error(Errc::kDamaged, "store.key is damaged: it has to be 32 bytes");
  return key;
}

std::optional<DatabaseKey> find_store_key(const Path& data) {
  if (const char* credentials = std::getenv("CREDENTIALS_DIRECTORY"); credentials != nullptr) {
    if (auto key = read_key_file(Path(credentials) / "store.key")) return key;
  }
  return read_key_file(data / "store.key");
}

DatabaseKey make_store_key(const Path& data) {
  auto key = DatabaseKey::random();
  write_key(key, [&](ByteView bytes) { write_new_file(data / "store.key", bytes); });
  return key;
}

[[noreturn]] void damaged() { throw Error(Errc::kDamaged, "store.db: a row is malformed"); }

template <std::size_t N>
ByteArray<N> array_at(const Statement& row, int column) {
  const auto blob = row.blob_view(column);
  if (blob.size() != N) damaged();
  return to_array<N>(blob);
}

// As it was written, so that it can also be told that somebody else wrote it.
template <typename Enum>
Enum enum_at(const Statement& row, int column, Enum last) {
  const auto value = row.integer(column);
  if (value < 0 || value > static_cast<std::int64_t>(last)) damaged();
  return static_cast<Enum>(value);
}

std::int64_t signed_number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
template <typename Enum>
requires std::is_enum_v<Enum> std::int64_t number_of(Enum value) { return static_cast<std::int64_t>(value); }

Vault& vault_at(const std::map<VaultKey, Vault*>& vaults, const Statement& row) {
  const auto found = vaults.find(array_at<16>(row, 0));
  if (found == vaults.end()) damaged();
  return *found->second;
}

Scope& scope_at(Vault& vault, const CustodyId& id) {
  const auto found = vault.scopes.find(id);
  if (found == vault.scopes.end()) damaged();
  return found->second;
}

Bytes encode(const std::vector<CardSignature>& signatures) {
  Bytes out;
  for (const auto& signature : signatures) {
    out.insert(out.end(), signature.card.bytes.begin(), signature.card.bytes.end());
    out.insert(out.end(), signature.signature.begin(), signature.signature.end());
  }
  return out;
}

std::vector<CardSignature> decode_signatures(ByteView bytes) {
  if (bytes.empty() || bytes.size() % kCardSignatureSize != 0) damaged();
  std::vector<CardSignature> out;
  for (; !bytes.empty(); bytes = bytes.subspan(kCardSignatureSize)) {
    out.push_back({{to_array<32>(bytes)}, to_array<64>(bytes.subspan(32))});
  }
  return out;
}

std::string name_of_log(const Vault& vault) { return to_hex(vault.key) + " " + vault.policy.log; }

WireStatement policy_text_of(const std::string& text) {
  return wire_statement_from_json(parse_canonical(text, "a policy in store.db"), kPolicyDomain, "a policy in store.db");
}

}  // namespace

struct Store::Statements {
  explicit Statements(const Database& d)
      : get_own(d.prepare("SELECT value FROM own WHERE name = ?")),
        put_own(d.prepare("INSERT OR REPLACE INTO own(name, value) VALUES(?, ?)")),
        put_vault(d.prepare("INSERT OR REPLACE INTO vault(id, policy, devices_time, devices_hash, state, cause, "
                            "duress_user, seen) VALUES(?, ?, ?, ?, ?, ?, ?, ?)")),
        put_seen(d.prepare("UPDATE vault SET seen = ? WHERE id = ?")),
        put_device(d.prepare("INSERT OR REPLACE INTO device(vault, id, key, burned_by) VALUES(?, ?, ?, ?)")),
        erase_device(d.prepare("DELETE FROM device WHERE vault = ? AND id = ?")),
        put_scope(d.prepare("INSERT OR REPLACE INTO scope(vault, id, kind, state, tries, since, time, hash, "
                            "confirmed_time, confirmed_hash, unconfirmed, unconfirmed_since, answered, lifted) "
                            "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")),
        erase_scope(d.prepare("DELETE FROM scope WHERE vault = ? AND id = ?")),
        put_order(d.prepare("INSERT OR REPLACE INTO orders(vault, hash, statement, signatures, number, done, receipt) "
                            "VALUES(?, ?, ?, ?, ?, ?, ?)")),
        erase_order(d.prepare("DELETE FROM orders WHERE vault = ? AND hash = ?")),
        erase_guard_receipts(d.prepare("DELETE FROM guard_receipt WHERE vault = ? AND hash = ?")),
        put_guard_receipt(d.prepare("INSERT OR REPLACE INTO guard_receipt(vault, hash, device, stage, receipt) "
                                    "VALUES(?, ?, ?, ?, ?)")),
        put_secret(d.prepare("INSERT OR REPLACE INTO secret(vault, id, type, version, by, user, duress, scalar) "
                             "VALUES(?, ?, ?, ?, ?, ?, ?, ?)")),
        put_duress(d.prepare("UPDATE secret SET duress = ? WHERE vault = ? AND id = ? AND type = ? AND version = ?")),
        scalar(d.prepare("SELECT scalar FROM secret WHERE vault = ? AND id = ? AND type = ? AND version = ?")),
        erase_secret(d.prepare("DELETE FROM secret WHERE vault = ? AND id = ? AND type = ? AND version = ?")),
        erase_secrets_of_scope(d.prepare("DELETE FROM secret WHERE vault = ? AND id = ?")),
        erase_secrets(d.prepare("DELETE FROM secret WHERE vault = ?")),
        put_invitation(d.prepare("INSERT INTO invitation(hash, expires, used, used_for) VALUES(?, ?, 0, x'')")),
        invitation(d.prepare("SELECT expires, used, used_for FROM invitation WHERE hash = ?")),
        use_invitation(d.prepare("UPDATE invitation SET used = ?, used_for = ? WHERE hash = ?")),
        erase_invitations(d.prepare("DELETE FROM invitation WHERE expires < ?")),
        append_log(d.prepare("INSERT INTO log(number, vault, at, entry) VALUES(?, ?, ?, ?)")),
        log_entries(d.prepare("SELECT number, entry FROM log WHERE number >= ? AND number < ? ORDER BY number")),
        log_of(d.prepare("SELECT number, entry FROM log WHERE vault = ? AND at >= ? AND at <= ? AND number >= ? "
                         "ORDER BY number LIMIT ?")),
        head(d.prepare("SELECT size, root, awake FROM head")),
        put_head(d.prepare("INSERT OR REPLACE INTO head(one, size, root, awake) VALUES(1, ?, ?, ?)")),
        witnessed(d.prepare("SELECT size, root, note FROM witnessed WHERE key = ?")),
        put_witnessed(d.prepare("INSERT OR REPLACE INTO witnessed(key, size, root, note) VALUES(?, ?, ?, ?)")) {}

  Statement get_own, put_own, put_vault, put_seen, put_device, erase_device, put_scope, erase_scope, put_order,
      erase_order, erase_guard_receipts, put_guard_receipt, put_secret, put_duress, scalar, erase_secret,
      erase_secrets_of_scope, erase_secrets, put_invitation, invitation, use_invitation, erase_invitations, append_log,
      log_entries, log_of, head, put_head, witnessed, put_witnessed;
};

Store::Store(Database database, DatabaseKey key)
    : key_(std::move(key)),
      database_(std::move(database)),
      tombstone_key_(derive_key<TombstoneKey>(key_, "casevault/v1/custodian-tombstones")),
      sql_(std::make_unique<Statements>(database_)) {}
Store::~Store() = default;

std::unique_ptr<Store> Store::open(const Path& data) {
  if (!is_there(data))
    throw Error(Errc::kNoVault, "no custodian was ever served from this folder",
                "the folder is what --data named at: casevault custodian serve");
  auto key = find_store_key(data);
  if (!key) throw Error(Errc::kNoVault, "store.key is missing, which opens store.db");
  return open(data, *std::move(key));
}

std::unique_ptr<Store> Store::open(const Path& data, DatabaseKey key) {
  auto database = Database::open(store_path(data), key, kSchemaVersion);
  return std::unique_ptr<Store>(new Store(std::move(database), std::move(key)));
}

// The keys are made before the database has a name that `open` looks for, so that none is ever without them.
std::unique_ptr<Store> Store::create(const Path& data, std::string_view name, std::int64_t now_ms) {
  auto key = find_store_key(data);
  if (!key) key = make_store_key(data);
  const auto unfinished = data / ".store.db.partial";
  const auto journal = data / ".store.db.partial-journal";
  remove_file(unfinished);
  remove_file(journal);
  {
    Store store(Database::create(unfinished, *key, kSchema, kSchemaVersion), key->clone());
    store.make_keys(name, now_ms);
    store.put_head({0, merkle_empty_root()}, now_ms);
    store.commit();
  }
  remove_file(journal);  // empty by now
  publish_file(unfinished, store_path(data));
  return open(data);
}

// Without opening it: see vault/storage/file.h.
bool Store::is_there(const Path& data) { return std::filesystem::exists(store_path(data)); }

void Store::make_keys(std::string_view name, std::int64_t now_ms) {
  const auto put = [&](std::string_view what, const auto& secret) {
    writing(sql_->put_own).bind(1, what).bind(2, secret).run();
  };
  put("sign_seed", SigningSeed::random());
  put("box_secret", BoxSecretKey::random());
  const auto tls = make_tls_certificate(name, now_ms / 1000);
  put("tls_key", tls.private_key);
  set_text("tls_certificate", tls.certificate);
  set_text("pin", as_text(tls.pin));
}

// Begins the transaction with the first change.
Statement& Store::writing(Statement& statement) {
  if (!transaction_) transaction_.emplace(database_);
  return statement;
}

Keys Store::keys() {
  const auto read = [&](std::string_view name, const auto& make) {
    auto& row = sql_->get_own.bind(1, name);
    if (!row.step()) damaged();
    auto made = make(row.blob_view(0));
    row.reset();
    return made;
  };
  const auto bytes32 = [](ByteView blob) {
    if (blob.size() != 32) damaged();
    return blob.first<32>();
  };
  return {read("sign_seed", [&](ByteView b) { return SigningKey::from_seed(SigningSeed::from_bytes(bytes32(b))); }),
          read("box_secret", [&](ByteView b) { return BoxKeyPair::from_secret(BoxSecretKey::from_bytes(bytes32(b))); }),
          read("tls_key", [&](ByteView b) { return SecretBytes::copy_of(b); })};
}

std::string Store::text(std::string_view name) {
  auto& row = sql_->get_own.bind(1, name);
  if (!row.step()) return {};
  std::string value(as_text(row.blob_view(0)));
  row.reset();
  return value;
}

void Store::set_text(std::string_view name, std::string_view value) {
  writing(sql_->put_own).bind(1, name).bind(2, as_bytes(value)).run();
}

Vaults Store::load() {
  Vaults vaults;
  ByKey by_key;
  auto row =
      database_.prepare("SELECT id, policy, devices_time, devices_hash, state, cause, duress_user, seen FROM vault");
  while (row.step()) {
    Vault vault;
    vault.key = array_at<16>(row, 0);
    vault.policy_text = policy_text_of(row.text(1));
    vault.policy = parse_policy(vault.policy_text.statement);
    vault.id = vault.policy.vault;
    vault.devices_stamp = {row.integer(2), array_at<32>(row, 3)};
    vault.state = enum_at(row, 4, State::kDestroyed);
    vault.cause = enum_at(row, 5, LockCause::kDuress);
    vault.duress_user = array_at<16>(row, 6);
    vault.seen = vault.stored_seen = row.integer(7);
    const std::pair name(vault.id, vault.key);
    by_key[vault.key] = &vaults.emplace(name, std::move(vault)).first->second;
  }
  load_devices(by_key);
  load_scopes(by_key);
  load_secrets(by_key);
  load_orders(by_key);
  load_guard_receipts(by_key);
  return vaults;
}

void Store::load_devices(const ByKey& vaults) {
  auto row = database_.prepare("SELECT vault, id, key, burned_by FROM device");
  while (row.step()) {
    const auto id = array_at<16>(row, 1);
    vault_at(vaults, row).devices[id] = {id, {array_at<32>(row, 2)}, static_cast<std::uint64_t>(row.integer(3))};
  }
}

void Store::load_scopes(const ByKey& vaults) {
  auto row = database_.prepare(
      "SELECT vault, id, kind, state, tries, since, time, hash, confirmed_time, confirmed_hash, unconfirmed, "
      "unconfirmed_since, answered, lifted FROM scope");
  while (row.step()) {
    auto& scope = vault_at(vaults, row).scopes[array_at<16>(row, 1)];
    scope.kind = enum_at(row, 2, ScopeKind::kCase);
    scope.state = enum_at(row, 3, State::kDestroyed);
    scope.tries = static_cast<std::uint32_t>(row.integer(4));
    scope.since = row.integer(5);
    scope.stamp = {row.integer(6), array_at<32>(row, 7)};
    scope.confirmed = {{row.integer(8), array_at<32>(row, 9)},
                       static_cast<std::uint32_t>(row.integer(10)),
                       row.integer(11),
                       row.integer(12)};
    scope.lifted = static_cast<std::uint32_t>(row.integer(13));
  }
}

void Store::load_secrets(const ByKey& vaults) {
  auto row = database_.prepare("SELECT vault, id, type, version, by, user, duress FROM secret");
  while (row.step()) {
    auto& scope = scope_at(vault_at(vaults, row), array_at<16>(row, 1));
    const SecretName name{enum_at(row, 2, SecretType::kShare), static_cast<std::uint32_t>(row.integer(3))};
    scope.secrets[name] = {{array_at<32>(row, 4)}, {array_at<32>(row, 5)}, {array_at<32>(row, 6)}};
  }
}

void Store::load_orders(const ByKey& vaults) {
  auto row = database_.prepare("SELECT vault, hash, statement, signatures, number, done, receipt FROM orders");
  while (row.step()) {
    auto& vault = vault_at(vaults, row);
    const auto hash = array_at<32>(row, 1);
    Order order;
    order.statement = row.text(2);
    order.terms = parse_order(order.statement);
    order.signatures = decode_signatures(row.blob_view(3));
    order.number = static_cast<std::uint64_t>(row.integer(4));
    order.done = row.integer(5);
    order.receipt = row.text(6);
    if (order.is_done()) vault.done.emplace(order.number, hash);
    vault.orders.emplace(hash, std::move(order));
  }
}

void Store::load_guard_receipts(const ByKey& vaults) {
  auto row = database_.prepare("SELECT vault, hash, device, stage, receipt FROM guard_receipt");
  while (row.step()) {
    auto& orders = vault_at(vaults, row).orders;
    const auto order = orders.find(array_at<32>(row, 1));
    if (order == orders.end()) damaged();
    order->second.guard_receipts[{array_at<32>(row, 2), row.text(3)}] = row.text(4);
  }
}

void Store::put_vault(const Vault& vault) {
  auto& row = writing(sql_->put_vault);
  row.bind(1, ByteView(vault.key)).bind(2, std::string_view(to_json(vault.policy_text).dump()));
  row.bind(3, vault.devices_stamp.time).bind(4, ByteView(vault.devices_stamp.hash));
  row.bind(5, number_of(vault.state)).bind(6, number_of(vault.cause)).bind(7, ByteView(vault.duress_user));
  row.bind(8, vault.seen).run();
}

void Store::put_seen(const Vault& vault) {
  writing(sql_->put_seen).bind(1, vault.seen).bind(2, ByteView(vault.key)).run();
}

void Store::put_device(const VaultKey& vault, const Device& device) {
  auto& row = writing(sql_->put_device);
  row.bind(1, ByteView(vault)).bind(2, ByteView(device.id)).bind(3, ByteView(device.key.bytes));
  row.bind(4, signed_number(device.burned_by)).run();
}

void Store::erase_device(const VaultKey& vault, const CustodyId& device) {
  writing(sql_->erase_device).bind(1, ByteView(vault)).bind(2, ByteView(device)).run();
}

void Store::put_scope(const VaultKey& vault, const CustodyId& id, const Scope& scope) {
  auto& row = writing(sql_->put_scope);
  row.bind(1, ByteView(vault)).bind(2, ByteView(id)).bind(3, number_of(scope.kind)).bind(4, number_of(scope.state));
  row.bind(5, std::int64_t{scope.tries}).bind(6, scope.since);
  row.bind(7, scope.stamp.time).bind(8, ByteView(scope.stamp.hash));
  row.bind(9, scope.confirmed.stamp.time).bind(10, ByteView(scope.confirmed.stamp.hash));
  row.bind(11, std::int64_t{scope.confirmed.unconfirmed}).bind(12, scope.confirmed.since);
  row.bind(13, scope.confirmed.answered).bind(14, std::int64_t{scope.lifted}).run();
}

void Store::erase_scope(const VaultKey& vault, const CustodyId& id) {
  writing(sql_->erase_scope).bind(1, ByteView(vault)).bind(2, ByteView(id)).run();
}

void Store::put_order(const VaultKey& vault, const Sha256Digest& hash, const Order& order) {
  const auto signatures = encode(order.signatures);
  auto& row = writing(sql_->put_order);
  row.bind(1, ByteView(vault)).bind(2, ByteView(hash)).bind(3, std::string_view(order.statement));
  row.bind(4, ByteView(signatures)).bind(5, signed_number(order.number)).bind(6, order.done);
  row.bind(7, std::string_view(order.receipt)).run();
}

void Store::erase_order(const VaultKey& vault, const Sha256Digest& hash) {
  writing(sql_->erase_guard_receipts).bind(1, ByteView(vault)).bind(2, ByteView(hash)).run();
  writing(sql_->erase_order).bind(1, ByteView(vault)).bind(2, ByteView(hash)).run();
}

void Store::put_guard_receipt(const VaultKey& vault, const Sha256Digest& order, const GuardStage& stage,
                              std::string_view receipt) {
  auto& row = writing(sql_->put_guard_receipt);
  row.bind(1, ByteView(vault)).bind(2, ByteView(order)).bind(3, ByteView(stage.first));
  row.bind(4, std::string_view(stage.second)).bind(5, receipt).run();
}

void Store::put_secret(const VaultKey& vault, const CustodyId& id, const SecretName& name, const Secret& secret,
                       const Scalar& scalar) {
  auto& row = writing(sql_->put_secret);
  row.bind(1, ByteView(vault)).bind(2, ByteView(id)).bind(3, number_of(name.type));
  row.bind(4, std::int64_t{name.version}).bind(5, ByteView(secret.by.bytes)).bind(6, ByteView(secret.user.bytes));
  row.bind(7, ByteView(secret.duress.bytes)).bind(8, scalar).run();
}

void Store::put_duress(const VaultKey& vault, const CustodyId& id, const SecretName& name, const VerifyKey& duress) {
  auto& row = writing(sql_->put_duress).bind(1, ByteView(duress.bytes)).bind(2, ByteView(vault)).bind(3, ByteView(id));
  row.bind(4, number_of(name.type)).bind(5, std::int64_t{name.version}).run();
}

std::optional<Scalar> Store::scalar(const VaultKey& vault, const CustodyId& id, const SecretName& name) {
  auto& row = sql_->scalar.bind(1, ByteView(vault)).bind(2, ByteView(id));
  row.bind(3, number_of(name.type)).bind(4, std::int64_t{name.version});
  if (!row.step()) return std::nullopt;
  auto scalar = parse_scalar(row.blob_view(0));
  row.reset();
  if (!scalar) damaged();
  return scalar;
}

void Store::erase_secret(const VaultKey& vault, const CustodyId& id, const SecretName& name) {
  auto& row = writing(sql_->erase_secret).bind(1, ByteView(vault)).bind(2, ByteView(id));
  row.bind(3, number_of(name.type)).bind(4, std::int64_t{name.version}).run();
}

void Store::erase_secrets(const VaultKey& vault, const CustodyId& id) {
  writing(sql_->erase_secrets_of_scope).bind(1, ByteView(vault)).bind(2, ByteView(id)).run();
}

void Store::erase_secrets(const VaultKey& vault) { writing(sql_->erase_secrets).bind(1, ByteView(vault)).run(); }

void Store::put_invitation(const Sha256Digest& token_hash, std::int64_t expires) {
  writing(sql_->put_invitation).bind(1, ByteView(token_hash)).bind(2, expires).run();
}

std::optional<Store::Invited> Store::invitation(const Sha256Digest& token_hash) {
  auto& row = sql_->invitation.bind(1, ByteView(token_hash));
  if (!row.step()) return std::nullopt;
  Invited invited{row.integer(0), row.integer(1), {}};
  if (invited.used != 0) invited.used_for = array_at<32>(row, 2);
  row.reset();
  return invited;
}

void Store::use_invitation(const Sha256Digest& token_hash, const Sha256Digest& used_for, std::int64_t now_ms) {
  writing(sql_->use_invitation).bind(1, now_ms).bind(2, ByteView(used_for)).bind(3, ByteView(token_hash)).run();
}

void Store::erase_invitations_before(std::int64_t expired_ms) {
  writing(sql_->erase_invitations).bind(1, expired_ms).run();
}

LogHead Store::log_head() {
  auto& row = sql_->head;
  if (!row.step()) damaged();
  const LogHead head{static_cast<std::uint64_t>(row.integer(0)), array_at<32>(row, 1)};
  row.reset();
  return head;
}

std::int64_t Store::awake() {
  auto& row = sql_->head;
  if (!row.step()) damaged();
  const auto awake = row.integer(2);
  row.reset();
  return awake;
}

void Store::append_log(std::uint64_t index, const std::optional<VaultKey>& vault, std::int64_t at,
                       std::string_view entry) {
  auto& row = writing(sql_->append_log).bind(1, signed_number(index));
  if (vault) row.bind(2, ByteView(*vault));
  row.bind(3, at).bind(4, entry).run();
}

std::vector<std::string> Store::log_entries(std::uint64_t begin, std::uint64_t end) {
  auto& row = sql_->log_entries.bind(1, signed_number(begin)).bind(2, signed_number(end));
  std::vector<std::string> entries;
  while (row.step()) {
    if (row.integer(0) != signed_number(begin + entries.size())) break;
    entries.push_back(row.text(1));
  }
  row.reset();
  if (entries.size() != end - begin) throw Error(Errc::kDamaged, "store.db: an entry of the log is missing");
  return entries;
}

std::vector<Store::Numbered> Store::log_of(const VaultKey& vault, std::int64_t from, std::int64_t until,
                                           std::uint64_t first, std::size_t max) {
  auto& row = sql_->log_of.bind(1, ByteView(vault)).bind(2, from).bind(3, until);
  row.bind(4, signed_number(first)).bind(5, signed_number(max));
  std::vector<Numbered> entries;
  while (row.step()) entries.push_back({static_cast<std::uint64_t>(row.integer(0)), row.text(1)});
  return entries;
}

std::optional<Store::Witnessed> Store::witnessed(const Vault& vault) {
  auto& row = sql_->witnessed.bind(1, std::string_view(name_of_log(vault)));
  if (!row.step()) return std::nullopt;
  const Witnessed witnessed{{static_cast<std::uint64_t>(row.integer(0)), array_at<32>(row, 1)}, row.text(2)};
  row.reset();
  return witnessed;
}

void Store::put_witnessed(const Vault& vault, const Witnessed& witnessed) {
  auto& row = writing(sql_->put_witnessed)
                  .bind(1, std::string_view(name_of_log(vault)))
                  .bind(2, signed_number(witnessed.head.size));
  row.bind(3, ByteView(witnessed.head.root)).bind(4, std::string_view(witnessed.note)).run();
}

void Store::put_head(const LogHead& log, std::int64_t awake) {
  auto& row = writing(sql_->put_head);
  row.bind(1, signed_number(log.size)).bind(2, ByteView(log.root)).bind(3, awake).run();
}

void Store::commit() {
  if (!transaction_) return;
  transaction_->commit();
  transaction_.reset();
}

}  // namespace casevault::custodian
