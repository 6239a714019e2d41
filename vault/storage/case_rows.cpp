#include "vault/storage/case_rows.h"

#include "vault/records/statement.h"

namespace casevault {
namespace {

[[noreturn]] void fail(const std::string& label, const char* why) {
  throw Error(Errc::kDamaged, label + " is damaged: " + why, "casevault verify");
}

std::string label(const Version& version) { return version_label(version.record, version.number); }

void add_version(Record& record, std::uint64_t number, const CaseStatement& statement) {
  const auto next = static_cast<std::int64_t>(record.versions.size()) + 1;
  if (record.withdrawal || statement.version != next)
    fail(to_string(statement.record), "its versions are out of order");
  record.id = statement.record;
  record.versions.push_back({.record = statement.record,
                             .number = statement.version,
                             .change = number,
                             .added_by = statement.by,
                             .added_ms = statement.time_ms});
}

void add_withdrawal(Record& record, std::uint64_t number, const CaseStatement& statement) {
  if (record.withdrawal || record.versions.empty())
    fail(to_string(statement.record), "it was withdrawn twice, or before it was added");
  record.withdrawal = Withdrawal{statement.by, statement.time_ms, statement.reason, number};
}

}  // namespace

std::string kind_to_text(RecordKind kind) { return std::string(1, static_cast<char>(kind)); }

std::string version_label(RecordId record, std::int64_t version) {
  return to_string(record) + ", version " + std::to_string(version) + ",";
}

BodyRef body_of_row(const Statement& row, int column, const std::string& label) {
  const auto key = row.blob_view(column + 1);
  const auto offset = row.integer(column + 2);  // 0 where it is null
  const auto whole_size = row.integer(column + 3);
  if (key.size() != FileKey::kSize || offset < 0 || whole_size < 0) fail(label, "where its body is cannot be told");
  return {row.text(column), FileKey::from_bytes(key.first<FileKey::kSize>()), static_cast<std::uint64_t>(offset),
          static_cast<std::uint64_t>(whole_size)};
}

void bind_body(Statement& row, int parameter, const ContentView& content) {
  if (content.body == nullptr) return;  // parameters not bound are null
  row.bind(parameter, std::string_view(content.body->name)).bind(parameter + 1, content.body->key);
  if (content.whole_size == 0) return;
  row.bind(parameter + 2, static_cast<std::int64_t>(content.offset));
  row.bind(parameter + 3, static_cast<std::int64_t>(content.whole_size));
}

void CaseReplay::add(std::uint64_t number, std::string_view text) {
  const auto statement = parse_statement(text, "change " + std::to_string(number) + " of the case");
  if (statement.case_id != id_) fail(to_string(statement.record), "its statement belongs to another case");
  auto& record = records_[statement.record];
  if (statement.kind == CaseStatement::Kind::kWithdraw) {
    add_withdrawal(record, number, statement);
  } else {
    add_version(record, number, statement);
    details_[number] = statement.details;
  }
}

std::vector<Record> CaseReplay::finish(const Database& database) {
  DetailsRows rows(database);
  std::vector<Record> records;
  records.reserve(records_.size());
  for (auto& [id, record] : records_) {
    for (auto& version : record.versions) {
      if (!record.withdrawal) version.details = rows.details(version, details_.at(version.change));
    }
    records.push_back(std::move(record));
  }
  return records;
}

DetailsRows::DetailsRows(const Database& database)
    : query_(database.prepare("SELECT details, kind, record, version, sha256 FROM versions WHERE change = ?")) {}

VersionDetails DetailsRows::details(const Version& version, const Sha256Digest& signed_hash) {
  query_.reset();
  query_.bind(1, static_cast<std::int64_t>(version.change));
  if (!query_.step() || query_.is_null(0)) fail(label(version), "its details are missing");
  const auto text = query_.text(0);
  if (sha256(as_bytes(text)) != signed_hash) fail(label(version), "its details are not what was signed");
  auto details = parse_details(text, label(version));
  const bool agrees = query_.text(1) == kind_to_text(version.record.kind) &&
                      query_.integer(2) == version.record.number && query_.integer(3) == version.number &&
                      equal_constant_time(query_.blob_view(4), details.sha256);
  if (!agrees) fail(label(version), "its row is not that of its statement");
  if (details.testimony.has_value() != (version.record.kind == RecordKind::kTestimony))
    fail(label(version), "it is of the wrong kind");
  query_.reset();
  return details;
}

ContentFinder::ContentFinder(const CaseStore& store)
    : store_(store),
      query_(store.database().prepare("SELECT change FROM versions WHERE sha256 = ? ORDER BY change LIMIT 1")),
      details_(store.database()) {}

std::optional<CaseStore::Place> ContentFinder::find(const Sha256Digest& sha256) {
  query_.bind(1, ByteView(sha256));
  if (!query_.step()) return std::nullopt;
  const auto number = static_cast<std::uint64_t>(query_.integer(0));
  query_.reset();
  const auto statement =
      parse_statement(store_.change(number).statement, "change " + std::to_string(number) + " of the case");
  const Version version{.record = statement.record, .number = statement.version, .change = number};
  details_.details(version, statement.details);  // these agree with the row
  if (is_withdrawn(statement.record)) return std::nullopt;
  return CaseStore::Place{statement.record, statement.version};
}

bool ContentFinder::is_withdrawn(RecordId record) {
  if (!withdrawn_) {
    withdrawn_.emplace();
    auto query =
        store_.database().prepare("SELECT statement FROM changes WHERE instr(statement, '\"kind\":\"withdraw\"')");
    while (query.step()) withdrawn_->insert(parse_statement(query.text(0), "a withdrawal of the case").record);
  }
  return withdrawn_->contains(record);
}

ContentRows::ContentRows(const Database& database)
    : query_(database.prepare("SELECT v.body, v.file_key, v.body_offset, v.body_size, c.data FROM versions v LEFT JOIN "
                              "contents c USING(change)"
                              " WHERE v.change = ?")) {}

ContentRef ContentRows::content(const Version& version) {
  query_.reset();
  query_.bind(1, static_cast<std::int64_t>(version.change));
  if (!query_.step()) fail(label(version), "its content is missing");
  if (!query_.is_null(0)) return body_of_row(query_, 0, label(version));
  if (query_.is_null(4)) fail(label(version), "its content is missing");
  auto data = query_.blob(4);
  if (data.size() != version.details->size || sha256(data) != version.details->sha256)
    fail(label(version), "its content is not what was signed");
  return data;
}

}  // namespace casevault
