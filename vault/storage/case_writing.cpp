#include <atomic>
#include <thread>

#include "vault/records/statement.h"
#include "vault/storage/case_rows.h"
#include "vault/storage/case_store.h"

namespace casevault {
namespace {

constexpr std::size_t kWorthAThread = 32;  // versions; a signature takes some 20 µs

CaseStatement stamped(const CaseStore& store, const CaseStamp& stamp) {
  return {.case_id = store.id(),
          .epoch = stamp.epoch,
          .by = stamp.signer.id,
          .time_ms = stamp.time_ms,
          .log = {stamp.log_size, stamp.log_root}};
}

/// Signs the statements of many versions, each after the one before, ahead of whoever stores them.
class Signer {
 public:
  Signer(const CaseStore& store, std::span<const CaseStore::NewRow> rows, const CaseStamp& stamp)
      : key_(stamp.signer.signing),
        rows_(rows),
        statement_(stamped(store, stamp)),
        head_(store.head()),
        changes_(rows.size()) {
    if (rows.size() >= kWorthAThread) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  /// @pre asked for in order
  const Change& change(std::size_t index) {
    if (!thread_.joinable()) {
      sign(index);
    } else {
      for (auto done = done_.load(); done <= index; done = done_.load()) done_.wait(done);
      if (failure_ && failed_at_ <= index) std::rethrow_exception(failure_);
    }
    return changes_[index];
  }

 private:
  void sign(std::size_t index) {
    const auto& row = rows_[index];
    statement_.record = row.record;
    statement_.version = row.number;
    statement_.details = row.version->details_hash;
    changes_[index] = sign_change(statement_.case_id, head_, encode_statement(statement_), key_);
    head_ = changes_[index].head();
  }
  void run(const std::stop_token& stop) {
    std::size_t index = 0;
    try {
      for (; index < rows_.size() && !stop.stop_requested(); ++index) {
        sign(index);
        done_ = index + 1;
        done_.notify_one();
      }
    } catch (...) {
      failure_ = std::current_exception();
      failed_at_ = index;
      done_ = rows_.size();
      done_.notify_one();
    }
  }

  const SigningKey& key_;
  std::span<const CaseStore::NewRow> rows_;
  CaseStatement statement_;
  ChainHead head_;
  std::vector<Change> changes_;
  std::atomic<std::size_t> done_ = 0;
  std::exception_ptr failure_;
  std::size_t failed_at_ = 0;
  std::jthread thread_;  // last: it uses the others
};

/// Puts versions into the tables, with statements prepared once.
class RowWriter {
 public:
  explicit RowWriter(const Database& database) : database_(database) {}
  void write(const Change& change, const CaseStore::NewRow& row) {
    const auto number = static_cast<std::int64_t>(change.number);
    write_change(change);
    write_version(number, row);
    if (row.content.body == nullptr) content_.bind(1, number).bind(2, row.content.bytes).run();
    write_text(number, *row.version);
    if (row.version->origin) write_origin(number, *row.version->origin);
  }

 private:
  void write_change(const Change& change);
  void write_version(std::int64_t number, const CaseStore::NewRow& row);
  void write_text(std::int64_t number, const PreparedVersion& version);
  void write_origin(std::int64_t number, const Origin& origin);

  const Database& database_;
  Statement change_ = database_.prepare("INSERT INTO changes(number, statement, signature, hash) VALUES(?, ?, ?, ?)");
  Statement version_ = database_.prepare(
      "INSERT INTO versions(change, kind, record, version, details, sha256, body, file_key, body_offset, body_size)"
      " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  Statement content_ = database_.prepare("INSERT INTO contents(change, data) VALUES(?, ?)");
  Statement text_ = database_.prepare("INSERT INTO texts(change, text) VALUES(?, ?)");
  Statement index_ = database_.prepare("INSERT INTO search(rowid, text) VALUES(?, ?)");
  Statement certificates_ = database_.prepare("INSERT OR IGNORE INTO certificates(hash, vaults) VALUES(?, ?)");
  Statement origin_ = database_.prepare("INSERT INTO origins(change, hops, certificates) VALUES(?, ?, ?)");
};

void RowWriter::write_change(const Change& change) {
  change_.bind(1, static_cast<std::int64_t>(change.number)).bind(2, std::string_view(change.statement));
  change_.bind(3, ByteView(change.signature)).bind(4, ByteView(change.hash)).run();
}

void RowWriter::write_version(std::int64_t number, const CaseStore::NewRow& row) {
  version_.bind(1, number).bind(2, std::string_view(kind_to_text(row.record.kind))).bind(3, row.record.number);
  version_.bind(4, row.number).bind(5, std::string_view(row.version->details)).bind(6, ByteView(row.version->sha256));
  bind_body(version_, 7, row.content);
  version_.run();
}

void RowWriter::write_text(std::int64_t number, const PreparedVersion& version) {
  index_.bind(1, number).bind(2, std::string_view(version.index_text)).run();
  if (!version.has_text) return;
  text_.bind(1, number);
  if (version.text) {
    text_.bind(2, std::string_view(*version.text));
  } else {
    text_.bind_null(2);
  }
  text_.run();
}

// Many records of one bundle have the same certificates.
void RowWriter::write_origin(std::int64_t number, const Origin& origin) {
  const auto hash = sha256(as_bytes(origin.vaults));
  certificates_.bind(1, ByteView(hash)).bind(2, std::string_view(origin.vaults)).run();
  origin_.bind(1, number).bind(2, std::string_view(origin.hops)).bind(3, ByteView(hash)).run();
}

}  // namespace

std::vector<ChainHead> CaseStore::append_versions(std::span<const NewRow> rows, const CaseStamp& stamp) {
  Signer signer(*this, rows, stamp);
  RowWriter writer(database_);
  std::vector<ChainHead> heads;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& content = rows[i].content;
    require(content.body != nullptr || content.bytes.size() <= kMaxInlineSize, "content is too large for the database");
    const auto& change = signer.change(i);
    writer.write(change, rows[i]);
    heads.push_back(change.head());
  }
  return heads;
}

void CaseStore::move_content(std::uint64_t change, const ContentView& to) {
  auto update = database_.prepare(
      "UPDATE versions SET body = ?2, file_key = ?3, body_offset = ?4, body_size = ?5 WHERE change = ?1");
  update.bind(1, static_cast<std::int64_t>(change));
  bind_body(update, 2, to);
  update.run();
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
  const NewRow row{version.record, version.number, &prepared, view};
  return change(append_versions({&row, 1}, stamp).at(0).count);
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
