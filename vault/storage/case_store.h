#pragma once
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "crypto/merkle.h"
#include "vault/records/details.h"
#include "vault/records/record.h"
#include "vault/storage/bodies.h"
#include "vault/storage/chain.h"

namespace casevault {

/// Content up to this many bytes may stand in the case database, larger content is a body. Where many small files are
/// added at once, those that are not text stand in one body together: SQLCipher takes four times as long for them.
inline constexpr std::uint64_t kMaxInlineSize = 65536;

/// Who signs a case statement, where, and after which state of the audit log.
struct CaseStamp {
  const Identity& signer;
  std::uint32_t epoch = 0;     // of the case key
  std::int64_t time_ms = 0;    // Unix milliseconds, UTC
  std::uint64_t log_size = 0;  // audit tree when the change was made
  TreeHash log_root{};
};

/// Where a version's content is: the bytes themselves, or a sealed body.
using ContentRef = std::variant<Bytes, BodyRef>;
/// The same, borrowed: `body`, or `bytes` where it is null.
struct ContentView {
  ByteView bytes;
  const BodyRef* body = nullptr;
  std::uint64_t offset = 0;      // in the body, as in BodyRef
  std::uint64_t whole_size = 0;  // of the body
};
ContentView view_of(const ContentRef& content);

/// One case's database (docs/format.md section 8). Every change is a signed statement in its chain:
///   version:  {"kind":"version","case","epoch","record","version","details": SHA-256 of the
///   details,"by","time","log_size","log_root"} withdraw:
///   {"kind":"withdraw","case","epoch","record","reason","by","time","log_size","log_root"}
/// Details are a JSON object with a random salt, kept beside the statement and erased on withdrawal; the statement
/// stays. This class checks that details and statements fit together and that the chain links; who signed, and with
/// which right, is checked by the caller (access/case_access.h).
class CaseStore {
 public:
  static CaseStore create(const Path& path, const DatabaseKey& key, const CaseId& id, const BodyNameKey& name_key);
  /// @throws Error{kDamaged} when it is not this case's.
  static CaseStore open(const Path& path, const DatabaseKey& key, const CaseId& id);

  const CaseId& id() const { return id_; }
  const BodyNameKey& body_name_key() const { return name_key_; }
  const Database& database() const { return database_; }
  ChainHead head() const { return chain_head(database_); }

  /// Every record, evidence first, in order. Reads the whole chain; @throws Error{kDamaged} naming the record that does
  /// not fit.
  std::vector<Record> records() const;
  std::optional<Record> record(RecordId id) const;
  /// The same from the chain alone: the details are left empty, and need not be sound.
  std::optional<Record> record_without_details(RecordId id) const;
  /// The record that holds this content in any version not withdrawn, with that version's number.
  struct Place {
    RecordId record;
    std::int64_t version = 0;
  };
  std::optional<Place> find_content(const Sha256Digest& sha256) const;
  /// Of a version not withdrawn. @throws Error{kDamaged} when it is missing.
  ContentRef content(const Version& version) const;
  /// Where a version of another organisation comes from; nullopt for our own. The hops are those that were signed for.
  /// @throws Error{kDamaged}
  std::optional<Origin> origin(const Version& version) const;
  /// The canonical JSON of a version's details, as it was signed. @throws Error{kDamaged}
  std::string details_text(const Version& version) const;
  /// The change that holds a version, for checking its signature.
  Change change(std::uint64_t number) const;
  /// Numbers of the changes that withdraw a record.
  std::vector<std::uint64_t> withdrawals() const;
  bool is_body_referenced(const std::string& name) const;
  std::vector<std::string> body_names() const;

  // Writing: inside a Transaction on database().
  /// One version to be appended; what it points to must outlive the call.
  struct NewRow {
    RecordId record;
    std::int64_t number = 1;
    const PreparedVersion* version = nullptr;
    ContentView content;
  };
  /// Appends many versions, in order; statements are signed on another thread meanwhile. Returns their places in the
  /// chain.
  std::vector<ChainHead> append_versions(std::span<const NewRow> rows, const CaseStamp& stamp);
  /// A content that stands in one body with others.
  struct Part {
    std::uint64_t change = 0;  // of its version
    std::uint64_t size = 0;    // bytes
    BodyRef body;
  };
  /// Contents of other records that stand in a body with a content of this one. @throws Error{kDamaged} when their
  /// details do not say how long they are.
  std::vector<Part> neighbours_of(RecordId record) const;
  /// The content of a version stands there from now on.
  void move_content(std::uint64_t change, const ContentView& to);
  std::int64_t next_number(RecordKind kind) const;
  struct NewVersion {
    RecordId record;
    std::int64_t number = 1;
    VersionDetails details;
    std::string searchable_text;  // what of the content goes into the index, beyond the details; may be empty
  };
  /// Appends the statement, the details, the content and the index row.
  Change add_version(const NewVersion& version, const ContentRef& content, const CaseStamp& stamp);
  Change add_withdrawal(RecordId record, const std::string& reason, const CaseStamp& stamp);

  /// Copies everything into `target` (fresh, same case, other key) but the details, content and index of `left_out`.
  /// Damaged details are copied as they are, so that they can still be told afterwards.
  /// @pre in a Transaction on target.database()
  /// Returns the names of the bodies that only `left_out` used.
  std::vector<std::string> copy_into(CaseStore& target, std::optional<RecordId> left_out) const;

  /// @throws Error{kUsage} for a query without words, with too many, or not UTF-8.
  static void require_query(const std::string& query);
  /// Newest versions that hold every word of `query` as a prefix (FTS5, unicode61, both sides through fold_for_search),
  /// by record.
  std::vector<Version> search(const std::string& query) const;

 private:
  CaseStore(Database database, const CaseId& id, BodyNameKey name_key)
      : database_(std::move(database)), id_(id), name_key_(std::move(name_key)) {}
  Database database_;
  CaseId id_;
  BodyNameKey name_key_;
};

}  // namespace casevault
