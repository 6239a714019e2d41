#include "vault/records/statement.h"
#include "vault/storage/case_rows.h"
#include "vault/storage/case_store.h"

namespace casevault {
namespace {

void bind_text(Statement& to, int index, const Statement& from, int column) {
  if (from.is_null(column)) {
    to.bind_null(index);
  } else {
    to.bind(index, std::string_view(from.text(column)));
  }
}

void bind_blob(Statement& to, int index, const Statement& from, int column) {
  if (from.is_null(column)) {
    to.bind_null(index);
  } else {
    to.bind(index, from.blob_view(column));
  }
}

void bind_integer(Statement& to, int index, const Statement& from, int column) {
  if (!from.is_null(column)) to.bind(index, from.integer(column));
}

/// Copies the rows of versions, one change after the other.
class Copy {
 public:
  Copy(const Database& from, const Database& to) : from_(from), to_(to) {}
  void run(std::optional<RecordId> left_out);

 private:
  void copy_row(bool left_out);
  void copy_content();
  void copy_origin();
  void copy_index();

  const Database& from_;
  const Database& to_;
  Statement read_ = from_.prepare(
      "SELECT v.change, v.kind, v.record, v.version, v.details, v.sha256, v.body, v.file_key, c.data, t.change, t.text,"
      " v.body_offset, v.body_size, o.hops, k.hash, k.vaults FROM versions v LEFT JOIN contents c USING(change)"
      " LEFT JOIN texts t USING(change) LEFT JOIN origins o USING(change)"
      " LEFT JOIN certificates k ON k.hash = o.certificates ORDER BY v.change");
  Statement version_ = to_.prepare(
      "INSERT INTO versions(change, kind, record, version, details, sha256, body, file_key, body_offset, body_size)"
      " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  Statement content_ = to_.prepare("INSERT INTO contents(change, data) VALUES(?, ?)");
  Statement text_ = to_.prepare("INSERT INTO texts(change, text) VALUES(?, ?)");
  Statement index_ = to_.prepare("INSERT INTO search(rowid, text) VALUES(?, ?)");
  Statement certificates_ = to_.prepare("INSERT OR IGNORE INTO certificates(hash, vaults) VALUES(?, ?)");
  Statement origin_ = to_.prepare("INSERT INTO origins(change, hops, certificates) VALUES(?, ?, ?)");
};

void Copy::run(std::optional<RecordId> left_out) {
  while (read_.step()) {
    const bool leave =
        left_out && read_.text(1) == kind_to_text(left_out->kind) && read_.integer(2) == left_out->number;
    copy_row(leave);
    if (leave) continue;
    if (!read_.is_null(8)) copy_content();
    if (!read_.is_null(14)) copy_origin();
    if (!read_.is_null(4)) copy_index();
  }
}

void Copy::copy_row(bool left_out) {
  version_.bind(1, read_.integer(0))
      .bind(2, std::string_view(read_.text(1)))
      .bind(3, read_.integer(2))
      .bind(4, read_.integer(3));
  if (!left_out) {  // parameters not bound are null
    bind_text(version_, 5, read_, 4);
    bind_blob(version_, 6, read_, 5);
    bind_text(version_, 7, read_, 6);
    bind_blob(version_, 8, read_, 7);
    bind_integer(version_, 9, read_, 11);
    bind_integer(version_, 10, read_, 12);
  }
  version_.run();
}

void Copy::copy_content() { content_.bind(1, read_.integer(0)).bind(2, read_.blob_view(8)).run(); }

void Copy::copy_origin() {
  certificates_.bind(1, read_.blob_view(14)).bind(2, std::string_view(read_.text(15))).run();
  origin_.bind(1, read_.integer(0));
  bind_text(origin_, 2, read_, 13);
  bind_blob(origin_, 3, read_, 14);
  origin_.run();
}

// A text row that is null says that the content is the text.
void Copy::copy_index() {
  const bool has_text = !read_.is_null(9);
  const std::string text = !has_text           ? ""
                           : read_.is_null(10) ? std::string(as_text(read_.blob_view(8)))
                                               : read_.text(10);
  if (has_text) {
    text_.bind(1, read_.integer(0));
    bind_text(text_, 2, read_, 10);
    text_.run();
  }
  try {
    const auto details = parse_details(read_.text(4), "details");
    index_.bind(1, read_.integer(0)).bind(2, std::string_view(index_text(details, text))).run();
  } catch (const Error& error) {
    if (error.code() != Errc::kDamaged) throw;  // damaged details cannot be searched; reading them names them
  }
}

}  // namespace

std::vector<std::string> CaseStore::copy_into(CaseStore& target, std::optional<RecordId> left_out) const {
  require(target.id_ == id_ && target.head().count == 0, "a case is copied into a fresh database of its own");
  for (const auto& change : read_chain(database_)) append_change(target.database_, change);
  Copy(database_, target.database_).run(left_out);
  std::vector<std::string> orphans;
  for (auto& name : body_names()) {
    if (!target.is_body_referenced(name)) orphans.push_back(std::move(name));
  }
  return orphans;
}

}  // namespace casevault
