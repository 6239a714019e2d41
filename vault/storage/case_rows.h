#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "vault/storage/case_store.h"

namespace casevault {

// How rows of a case database become records, checked against the chain. For case_*.cpp and records/commit.cpp only.

/// Of the full-text index and of queries.
inline constexpr const char* kTokenizer = "tokenize='unicode61 remove_diacritics 2'";

std::string kind_to_text(RecordKind kind);
/// "E-3, version 2", for messages.
std::string version_label(RecordId record, std::int64_t version);

/// Of the columns body, file_key, body_offset and body_size, from `column` on. @throws Error{kDamaged} naming `label`.
BodyRef body_of_row(const Statement& row, int column, const std::string& label);
/// The other way round, into parameters. `content` must live until the next reset().
void bind_body(Statement& row, int parameter, const ContentView& content);

/// Replays statements, in order, into records.
class CaseReplay {
 public:
  explicit CaseReplay(const CaseId& id) : id_(id) {}
  /// @throws Error{kDamaged} for a statement of another case, or out of order.
  void add(std::uint64_t number, std::string_view statement);
  /// The records, with the details of what was not withdrawn. @throws Error{kDamaged} naming the record that does not
  /// fit.
  std::vector<Record> finish(const Database& database);
  /// The same without details.
  const std::map<RecordId, Record>& records() const { return records_; }
  /// The signed hash of a version's details, by change.
  const Sha256Digest& details_hash(std::uint64_t change) const { return details_.at(change); }

 private:
  CaseId id_;
  std::map<RecordId, Record> records_;
  std::map<std::uint64_t, Sha256Digest> details_;
};

/// Reads details, each against its signed hash.
class DetailsRows {
 public:
  explicit DetailsRows(const Database& database);
  /// @throws Error{kDamaged} naming the record when they are missing or not what was signed.
  VersionDetails details(const Version& version, const Sha256Digest& signed_hash);

 private:
  Statement query_;
};

/// Finds contents by their hash. The rows are only where to look: what counts is what was signed, so that nobody who
/// may merely read can make a file pass for one that is there already.
class ContentFinder {
 public:
  explicit ContentFinder(const CaseStore& store);
  /// @throws Error{kDamaged} naming the record whose row claims the hash without being signed for it.
  std::optional<CaseStore::Place> find(const Sha256Digest& sha256);

 private:
  bool is_withdrawn(RecordId record);
  const CaseStore& store_;
  Statement query_;
  DetailsRows details_;
  std::optional<std::set<RecordId>> withdrawn_;
};

/// Reads contents.
class ContentRows {
 public:
  explicit ContentRows(const Database& database);
  /// Inline content is checked against the details' hash. @throws Error{kDamaged} naming the record.
  ContentRef content(const Version& version);

 private:
  Statement query_;
};

}  // namespace casevault
