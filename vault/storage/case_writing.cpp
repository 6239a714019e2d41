#include "vault/records/statement.h"
#include "vault/storage/case_rows.h"
#include "vault/storage/case_store.h"

namespace casevault {
namespace {

CaseStatement stamped(const CaseStore& store, const CaseStamp& stamp) {
  return {.case_id = store.id(), .epoch = stamp.epoch, .by = stamp.signer.id, .time_ms = stamp.time_ms, .log = {stamp.log_size, stamp.log_root}};
}

}  // namespace

struct CaseStore::Appender::State {
  State(CaseStore& store, const CaseStamp& stamp)
      : store(store), signer(stamp.signer), statement(stamped(store, stamp)), head(store.head()), database(store.database()) {}

  Change sign(RecordId record, std::int64_t number, const Sha256Digest& details);
  void insert_version(const Change& change, RecordId record, std::int64_t number, const PreparedVersion& version, ContentView content);
  void insert_content(std::int64_t change, ByteView content);
  void index(std::int64_t change, const PreparedVersion& version);

  CaseStore& store;
  const Identity& signer;
  CaseStatement statement;
  ChainHead head;
  const Database& database;
  Statement change_row = database.prepare("INSERT INTO changes(number, statement, signature, hash) VALUES(?, ?, ?, ?)");
  Statement version_row = database.prepare(
      "INSERT INTO versions(change, kind, record, version, details, sha256, body, file_key) VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
  Statement content_row = database.prepare("INSERT INTO contents(change, data) VALUES(?, ?)");
  Statement text_row = database.prepare("INSERT INTO texts(change, text) VALUES(?, ?)");
  Statement index_row = database.prepare("INSERT INTO search(rowid, text) VALUES(?, ?)");
  ContentFinder finder{store};
};

CaseStore::Appender::Appender(CaseStore& store, const CaseStamp& stamp) : state_(std::make_unique<State>(store, stamp)) {}
CaseStore::Appender::~Appender() = default;

std::optional<CaseStore::Place> CaseStore::Appender::find_content(const Sha256Digest& sha256) { return state_->finder.find(sha256); }

Change CaseStore::Appender::State::sign(RecordId record, std::int64_t number, const Sha256Digest& details) {
  statement.kind = CaseStatement::Kind::kVersion;
  statement.record = record;
  statement.version = number;
  statement.details = details;
  auto change = sign_change(store.id(), head, encode_statement(statement), signer.signing);
  head = change.head();
  change_row.bind(1, static_cast<std::int64_t>(change.number)).bind(2, std::string_view(change.statement));
  change_row.bind(3, ByteView(change.signature)).bind(4, ByteView(change.hash)).run();
  return change;
}

void CaseStore::Appender::State::insert_version(const Change& change, RecordId record, std::int64_t number, const PreparedVersion& version,
                                                ContentView content) {
  version_row.bind(1, static_cast<std::int64_t>(change.number)).bind(2, std::string_view(kind_to_text(record.kind))).bind(3, record.number);
  version_row.bind(4, number).bind(5, std::string_view(version.details)).bind(6, ByteView(version.sha256));
  if (content.body != nullptr) {
    version_row.bind(7, std::string_view(content.body->name)).bind(8, ByteView(content.body->key.expose_secret()));
  } else {
    version_row.bind_null(7).bind_null(8);
  }
  version_row.run();
}

void CaseStore::Appender::State::insert_content(std::int64_t change, ByteView content) { content_row.bind(1, change).bind(2, content).run(); }

void CaseStore::Appender::State::index(std::int64_t change, const PreparedVersion& version) {
  index_row.bind(1, change).bind(2, std::string_view(version.index_text)).run();
  if (!version.has_text) return;
  text_row.bind(1, change);
  if (version.text) {
    text_row.bind(2, std::string_view(*version.text));
  } else {
    text_row.bind_null(2);
  }
  text_row.run();
}

Change CaseStore::Appender::append(RecordId record, std::int64_t number, const PreparedVersion& version, ContentView content) {
  require(content.body != nullptr || content.bytes.size() <= kMaxInlineSize, "content is too large to stand in the database");
  auto change = state_->sign(record, number, version.details_hash);
  const auto row = static_cast<std::int64_t>(change.number);
  state_->insert_version(change, record, number, version, content);
  if (content.body == nullptr) state_->insert_content(row, content.bytes);
  state_->index(row, version);
  return change;
}

std::int64_t CaseStore::next_number(RecordKind kind) const {
  auto query = database_.prepare("SELECT max(record) FROM versions WHERE kind = ?");
  query.bind(1, std::string_view(kind_to_text(kind)));
  query.step();  // one row, null when there is no record
  return query.integer(0) + 1;
}

Change CaseStore::add_version(const NewVersion& version, const ContentRef& content, const CaseStamp& stamp) {
  const auto view = view_of(content);
  const auto prepared = prepare_version(version.details, version.searchable_text, view.body == nullptr);
  return Appender(*this, stamp).append(version.record, version.number, prepared, view);
}

Change CaseStore::add_withdrawal(RecordId record, const std::string& reason, const CaseStamp& stamp) {
  auto statement = stamped(*this, stamp);
  statement.kind = CaseStatement::Kind::kWithdraw;
  statement.record = record;
  statement.reason = reason;
  auto change = sign_change(id_, head(), encode_statement(statement), stamp.signer.signing);
  append_change(database_, change);
  return change;
}

}  // namespace casevault
