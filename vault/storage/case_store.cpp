#include "vault/storage/case_store.h"

#include <algorithm>

#include "vault/records/statement.h"
#include "vault/storage/case_rows.h"

namespace casevault {
namespace {

constexpr int kSchemaVersion = 1;

// `texts`: the searchable text of a content; null where the content itself, kept in `contents`, is the text. The index
// keeps no text, so it is made anew from these when the database is copied.
constexpr const char* kTables =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE versions(change INTEGER PRIMARY KEY REFERENCES changes(number), kind TEXT NOT NULL,"
    " record INTEGER NOT NULL, version INTEGER NOT NULL, details TEXT, sha256 BLOB, body TEXT, file_key BLOB,"
    " body_offset INTEGER, body_size INTEGER, UNIQUE(kind, record, version)) STRICT;"
    "CREATE INDEX versions_sha256 ON versions(sha256) WHERE sha256 IS NOT NULL;"
    "CREATE INDEX versions_body ON versions(body) WHERE body IS NOT NULL;"
    "CREATE TABLE contents(change INTEGER PRIMARY KEY REFERENCES versions(change), data BLOB NOT NULL) STRICT;"
    "CREATE TABLE certificates(hash BLOB PRIMARY KEY, vaults TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE origins(change INTEGER PRIMARY KEY REFERENCES versions(change), hops TEXT NOT NULL,"
    " certificates BLOB NOT NULL REFERENCES certificates(hash)) STRICT;"
    "CREATE TABLE texts(change INTEGER PRIMARY KEY REFERENCES versions(change), text TEXT) STRICT;";

// Measured on 20,000 texts: with the defaults (1 MiB, merging as it goes) filling the index takes twice as long.
constexpr const char* kIndexSettings =
    "INSERT INTO search(search, rank) VALUES('hashsize', 8388608);"  // bytes
    "INSERT INTO search(search, rank) VALUES('automerge', 0);";

std::string schema() {
  std::string text = kChainSchema;
  text += kTables;
  text += "CREATE VIRTUAL TABLE search USING fts5(text, content='', columnsize=0, detail=none, ";
  text += kTokenizer;
  text += ");";
  text += kIndexSettings;
  return text;
}

template <typename Value>
void put_meta(const Database& database, std::string_view key, const Value& value) {
  database.prepare("INSERT INTO meta(key, value) VALUES(?, ?)").bind(1, key).bind(2, value).run();
}

template <std::size_t N>
ByteArray<N> get_meta(const Database& database, std::string_view key) {
  auto query = database.prepare("SELECT value FROM meta WHERE key = ?");
  query.bind(1, key);
  if (!query.step() || query.blob_view(0).size() != N) {
    throw Error(Errc::kDamaged, database.path().filename().string() + " is damaged: it does not say whose it is",
                "casevault verify");
  }
  return to_array<N>(query.blob_view(0));
}

// Only this record's statements are parsed: a canonical statement about it holds its name in just this way.
CaseReplay replay_record(const Database& database, const CaseId& case_id, RecordId id) {
  auto query = database.prepare("SELECT number, statement FROM changes WHERE instr(statement, ?) ORDER BY number");
  query.bind(1, std::string_view("\"record\":\"" + to_string(id) + "\""));
  CaseReplay replay(case_id);
  while (query.step()) replay.add(static_cast<std::uint64_t>(query.integer(0)), query.text(1));
  return replay;
}

}  // namespace

ContentView view_of(const ContentRef& content) {
  if (const auto* body = std::get_if<BodyRef>(&content)) return {{}, body, body->offset, body->whole_size};
  return {std::get<Bytes>(content)};
}

CaseStore CaseStore::create(const Path& path, const DatabaseKey& key, const CaseId& id, const BodyNameKey& name_key) {
  auto database = Database::create(path, key, schema().c_str(), kSchemaVersion);
  Transaction transaction(database);
  put_meta(database, "case", ByteView(id));
  put_meta(database, "body-names", name_key);
  transaction.commit();
  return CaseStore(std::move(database), id, name_key.clone());
}

CaseStore CaseStore::open(const Path& path, const DatabaseKey& key, const CaseId& id) {
  auto database = Database::open(path, key, kSchemaVersion);
  if (get_meta<16>(database, "case") != id) {
    throw Error(Errc::kDamaged, path.filename().string() + " belongs to another case", "casevault verify");
  }
  auto name_key = BodyNameKey::from_bytes(get_meta<BodyNameKey::kSize>(database, "body-names"));
  return CaseStore(std::move(database), id, std::move(name_key));
}

std::vector<Record> CaseStore::records() const {
  CaseReplay replay(id_);
  for (const auto& change : read_chain(database_)) replay.add(change.number, change.statement);
  return replay.finish(database_);
}

std::optional<Record> CaseStore::record(RecordId id) const {
  auto replay = replay_record(database_, id_, id);
  auto records = replay.finish(database_);
  const auto found = std::ranges::find(records, id, &Record::id);
  if (found == records.end()) return std::nullopt;
  return std::move(*found);
}

std::optional<Record> CaseStore::record_without_details(RecordId id) const {
  const auto replay = replay_record(database_, id_, id);
  const auto found = replay.records().find(id);
  if (found == replay.records().end()) return std::nullopt;
  return found->second;
}

std::optional<CaseStore::Place> CaseStore::find_content(const Sha256Digest& sha256) const {
  return ContentFinder(*this).find(sha256);
}

std::vector<std::uint64_t> CaseStore::withdrawals() const {
  // In canonical JSON no text can hold these quotes unescaped.
  auto query = database_.prepare(
      "SELECT number FROM changes WHERE instr(statement, '\"kind\":\"withdraw\"') > 0 ORDER BY number");
  std::vector<std::uint64_t> numbers;
  while (query.step()) numbers.push_back(static_cast<std::uint64_t>(query.integer(0)));
  return numbers;
}

Change CaseStore::change(std::uint64_t number) const {
  auto query = database_.prepare("SELECT statement, signature, hash FROM changes WHERE number = ?");
  query.bind(1, static_cast<std::int64_t>(number));
  if (!query.step() || query.blob_view(1).size() != 64 || query.blob_view(2).size() != 32) {
    throw Error(
        Errc::kDamaged,
        database_.path().filename().string() + ": change " + std::to_string(number) + " is missing or malformed",
        "casevault verify");
  }
  return {number, query.text(0), to_array<64>(query.blob_view(1)), to_array<32>(query.blob_view(2))};
}

ContentRef CaseStore::content(const Version& version) const {
  require(version.details.has_value(), "a withdrawn version has no content");
  return ContentRows(database_).content(version);
}

std::string CaseStore::details_text(const Version& version) const {
  auto query = database_.prepare("SELECT details FROM versions WHERE change = ?");
  query.bind(1, static_cast<std::int64_t>(version.change));
  const auto label = version_label(version.record, version.number);
  if (query.step() && !query.is_null(0)) {
    auto text = query.text(0);
    if (sha256(as_bytes(text)) == parse_statement(change(version.change).statement, label).details) return text;
  }
  throw Error(Errc::kDamaged, label + " is damaged: its details are not what was signed", "casevault verify");
}

std::optional<Origin> CaseStore::origin(const Version& version) const {
  require(version.details.has_value(), "a withdrawn version has no origin");
  if (!version.details->origin) return std::nullopt;
  auto query = database_.prepare(
      "SELECT hops, vaults, hash FROM origins JOIN certificates ON hash = certificates WHERE change = ?");
  query.bind(1, static_cast<std::int64_t>(version.change));
  if (query.step()) {
    Origin origin{query.text(0), query.text(1)};
    const bool is_sound = sha256(as_bytes(origin.hops)) == *version.details->origin &&
                          equal_constant_time(query.blob_view(2), sha256(as_bytes(origin.vaults)));
    if (is_sound) return origin;
  }
  throw Error(Errc::kDamaged,
              version_label(version.record, version.number) + " is damaged: where it comes from is lost or changed",
              "casevault verify");
}

std::vector<CaseStore::Part> CaseStore::neighbours_of(RecordId record) const {
  auto query = database_.prepare(
      "SELECT change, details, body, file_key, body_offset, body_size FROM versions"
      " WHERE NOT (kind = ?1 AND record = ?2) AND body_size IS NOT NULL"
      " AND body IN (SELECT body FROM versions WHERE kind = ?1 AND record = ?2)"
      " ORDER BY body, body_offset");
  query.bind(1, std::string_view(kind_to_text(record.kind))).bind(2, record.number);
  std::vector<Part> parts;
  while (query.step()) {
    const auto change = static_cast<std::uint64_t>(query.integer(0));
    const auto details = parse_details(query.text(1), "what stands beside " + to_string(record));
    parts.push_back({change, details.size, body_of_row(query, 2, "what stands beside " + to_string(record))});
  }
  return parts;
}

bool CaseStore::is_body_referenced(const std::string& name) const {
  auto query = database_.prepare("SELECT 1 FROM versions WHERE body = ?");
  return query.bind(1, std::string_view(name)).step();
}

std::vector<std::string> CaseStore::body_names() const {
  auto query = database_.prepare("SELECT DISTINCT body FROM versions WHERE body IS NOT NULL ORDER BY body");
  std::vector<std::string> names;
  while (query.step()) names.push_back(query.text(0));
  return names;
}

}  // namespace casevault
