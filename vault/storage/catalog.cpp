#include "vault/storage/catalog.h"

#include <sys/stat.h>

#include <set>

#include "crypto/error.h"
#include "crypto/kdf.h"
#include "vault/storage/json.h"
#include "vault/storage/replica_rows.h"

namespace casevault {
namespace {

constexpr int kSchemaVersion = 1;
const std::string kSchema =
    std::string(kChainSchema) + kReplicaSchema +
    "CREATE TABLE unfinished(file TEXT PRIMARY KEY) STRICT;"
    "CREATE TABLE sealed(hash BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT;"
    "CREATE TABLE witnessed(one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, time INTEGER NOT NULL, "
    "place INTEGER NOT NULL) "
    "STRICT;"
    "CREATE TABLE log_head(one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, root BLOB NOT NULL) STRICT;";

DatabaseKey database_key(const CatalogKey& key, std::uint32_t epoch, const VaultId& vault) {
  return derive_key<DatabaseKey>(key, "casevault/v1/catalog-db", concat({vault, be32(epoch)}));
}

std::uint64_t inode_of(const Path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

/// Numbers of the heads that a later head of the same case supersedes: their signatures decide nothing any more.
std::set<std::uint64_t> superseded_heads(const std::vector<Change>& changes) {
  std::set<std::uint64_t> superseded;
  std::set<std::string> seen;
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    if (change->statement.find("\"kind\":\"case-head\"") == std::string::npos) continue;
    const auto statement = parse_canonical(change->statement, "catalogue change " + std::to_string(change->number));
    if (!seen.insert(statement.value("case", "")).second) superseded.insert(change->number);
  }
  return superseded;
}

void announce(const Database& database, std::string_view file) {
  auto insert = database.prepare("INSERT OR IGNORE INTO unfinished(file) VALUES(?)");
  insert.bind(1, file).run();
}

}  // namespace

Catalog::Catalog(Database database, const VaultId& vault, const VerifyKey& root)
    : database_(std::move(database)), state_(vault, root), inode_(inode_of(database_.path())) {}

Catalog Catalog::create(const Path& path, const CatalogKey& key, std::uint32_t epoch, const VaultId& vault,
                        const VerifyKey& root) {
  return Catalog(Database::create(path, database_key(key, epoch, vault), kSchema.c_str(), kSchemaVersion), vault, root);
}

Catalog Catalog::open(const Path& path, const CatalogKey& key, std::uint32_t epoch, const VaultId& vault,
                      const VerifyKey& root) {
  Catalog catalog(Database::open(path, database_key(key, epoch, vault), kSchemaVersion), vault, root);
  catalog.refresh();
  if (catalog.state_.epoch() != epoch) {
    throw Error(Errc::kDamaged, "catalog.db is empty, or says another epoch than its key", "casevault verify");
  }
  return catalog;
}

bool Catalog::is_keyed_by(const Path& path, const CatalogKey& key, std::uint32_t epoch, const VaultId& vault) {
  return Database::is_keyed_by(path, database_key(key, epoch, vault));
}

void Catalog::refresh() {
  const auto changes = read_chain(database_, state_.head());
  const auto superseded = superseded_heads(changes);
  for (const auto& change : changes) state_.apply(change, !superseded.contains(change.number));
}

Catalog Catalog::copy_to(const Path& path, const CatalogKey& key, std::uint32_t epoch) const {
  auto target = create(path, key, epoch, state_.vault(), state_.root());
  Transaction transaction(target.database_);
  for (const auto& change : read_chain(database_)) append_change(target.database_, change);
  auto source = database_.prepare("SELECT hash, data FROM sealed");
  auto insert = target.database_.prepare("INSERT INTO sealed(hash, data) VALUES(?, ?)");
  while (source.step()) {
    const auto hash = source.blob(0);
    const auto data = source.blob(1);
    insert.bind(1, ByteView(hash)).bind(2, ByteView(data)).run();
  }
  for (const auto& file : unfinished()) announce(target.database_, file);
  transaction.commit();
  target.state_ = state_;
  target.set_log_head(log_head());
  target.set_witnessed(witnessed());
  for (const auto& replica : read_replicas(*this)) put_replica(target, replica);
  return target;
}

bool Catalog::is_current() const { return inode_of(database_.path()) == inode_; }

std::optional<Bytes> Catalog::blob(const Sha256Digest& hash) const {
  auto query = database_.prepare("SELECT data FROM sealed WHERE hash = ?");
  query.bind(1, ByteView(hash));
  if (!query.step()) return std::nullopt;
  auto data = query.blob(0);
  if (sha256(data) != hash)
    throw Error(Errc::kDamaged, "catalog.db: a sealed entry is not what its hash says", "casevault verify");
  return data;
}

std::vector<std::string> Catalog::unfinished() const {
  auto query = database_.prepare("SELECT file FROM unfinished ORDER BY file");
  std::vector<std::string> files;
  while (query.step()) files.push_back(query.text(0));
  return files;
}

bool Catalog::is_unfinished(std::string_view file) const {
  auto query = database_.prepare("SELECT 1 FROM unfinished WHERE file = ?");
  query.bind(1, file);
  return query.step();
}

void Catalog::set_finished(std::string_view file) {
  auto erase = database_.prepare("DELETE FROM unfinished WHERE file = ?");
  erase.bind(1, file).run();
}

Catalog::Witnessed Catalog::witnessed() const {
  auto query = database_.prepare("SELECT size, time, place FROM witnessed");
  if (!query.step()) return {};
  return {static_cast<std::uint64_t>(query.integer(0)), query.integer(1), static_cast<std::uint64_t>(query.integer(2))};
}

void Catalog::set_witnessed(const Witnessed& last) {
  auto upsert = database_.prepare("INSERT OR REPLACE INTO witnessed(one, size, time, place) VALUES(1, ?, ?, ?)");
  upsert.bind(1, static_cast<std::int64_t>(last.size)).bind(2, last.time_ms);
  upsert.bind(3, static_cast<std::int64_t>(last.place)).run();
}

LogCite Catalog::log_head() const {
  auto query = database_.prepare("SELECT size, root FROM log_head");
  if (!query.step()) return {};
  if (query.blob_view(1).size() != 32) throw Error(Errc::kDamaged, "catalog.db: the audit log's head is malformed");
  return {static_cast<std::uint64_t>(query.integer(0)), to_array<32>(query.blob_view(1))};
}

void Catalog::set_log_head(const LogCite& head) {
  auto upsert = database_.prepare(
      "INSERT INTO log_head(one, size, root) VALUES(1, ?, ?) ON CONFLICT(one) DO UPDATE SET size = excluded.size, "
      "root = excluded.root WHERE excluded.size > size");
  upsert.bind(1, static_cast<std::int64_t>(head.size)).bind(2, ByteView(head.root)).run();
}

Catalog::Update::Update(Catalog& catalog)
    : catalog_(catalog), transaction_(catalog.database_), state_((catalog.refresh(), catalog.state_)) {
  if (!catalog.is_current()) {
    throw Error(Errc::kBusy, "another process changed the vault's keys meanwhile", "repeat the command");
  }
}

void Catalog::Update::append(const nlohmann::json& statement, const SigningKey& key) {
  const auto change = sign_change(state_.vault(), state_.head(), statement.dump(), key);
  state_.apply(change);
  append_change(catalog_.database_, change);
}

Sha256Digest Catalog::Update::put_blob(ByteView data) {
  const auto hash = sha256(data);
  auto insert = catalog_.database_.prepare("INSERT OR IGNORE INTO sealed(hash, data) VALUES(?, ?)");
  insert.bind(1, ByteView(hash)).bind(2, data).run();
  return hash;
}

void Catalog::Update::erase_blob(const Sha256Digest& hash) {
  auto erase = catalog_.database_.prepare("DELETE FROM sealed WHERE hash = ?");
  erase.bind(1, ByteView(hash)).run();
}

void Catalog::Update::announce_file(std::string_view file) { announce(catalog_.database_, file); }

void Catalog::Update::commit() {
  transaction_.commit();
  catalog_.state_ = std::move(state_);
}

}  // namespace casevault
