#pragma once
#include <memory>
#include <string>

#include "crypto/secret.h"
#include "vault/storage/file.h"

struct sqlite3;
struct sqlite3_stmt;

namespace casevault {

/// Finds pages that SQLCipher could not authenticate where SQLite itself goes on with zeros (database.cpp).
class PageCheck;

/// One prepared statement. Parameters are numbered from 1, columns from 0. A reset, also one that happens by itself,
/// makes all parameters NULL again: bind them anew. May be destroyed after its Database, but not used.
class Statement {
 public:
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::string_view text);  // copied
  Statement& bind(int index, ByteView blob);          // not copied: must live until the next reset()
  /// A key, not copied: must live until the next reset().
  template <typename Purpose, std::size_t Size>
  Statement& bind(int index, const Key<Purpose, Size>& key) {
    return bind(index, ByteView(key.expose_secret()));
  }
  Statement& bind(int index, const SecretBytes& secret) { return bind(index, secret.expose_secret()); }
  Statement& bind_null(int index);
  /// True while there is a row, all of it from authentic pages. Resets by itself when there is none left.
  bool step();
  /// For statements without rows: step, and reset for the next use.
  void run();
  void reset();

  std::int64_t integer(int column) const;
  std::string text(int column) const;
  Bytes blob(int column) const;
  /// The blob in place, until the next step or reset.
  ByteView blob_view(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(sqlite3_stmt* statement, std::string what, std::shared_ptr<PageCheck> check)
      : check_(std::move(check)), statement_(statement), what_(std::move(what)) {}
  std::shared_ptr<PageCheck> check_;
  std::shared_ptr<void> hold_;  // while it runs
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string what_;  // the database, for messages
};

/// One SQLCipher database, keyed by a raw key and salt, both derived from `key`; the salt also stands in the first 16
/// bytes of the file, so that one can tell which key a file wants. Every page is authenticated by SQLCipher's HMAC, but
/// only against this key: an older page of the same database passes, which is why the content carries signed chains.
/// @throws Error: kDamaged (not ours, torn, a page changed), kBusy, kNoSpace, kNotAllowed (read-only disk), kInternal.
class Database {
 public:
  /// A new file. @throws Error{kUsage} when it exists.
  static Database create(const Path& path, const DatabaseKey& key, const char* schema, int version);
  /// @throws Error{kDamaged} when it is missing or not of `version`; Error{kNoVault} when its version is newer.
  static Database open(const Path& path, const DatabaseKey& key, int version);
  /// Whether the file at `path` was made for `key` (by its salt; authenticates nothing). False when there is none.
  static bool is_keyed_by(const Path& path, const DatabaseKey& key);

  Statement prepare(const char* sql) const;
  void execute(const char* sql) const;
  const Path& path() const { return path_; }

  /// Reads every page: SQLCipher's cipher_integrity_check, then SQLite's integrity_check. One line per finding.
  std::vector<std::string> check_integrity() const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  Database(sqlite3* connection, Path path) : connection_(connection), path_(std::move(path)) {}
  static Database connect(const Path& path, const DatabaseKey& key, int flags);
  std::unique_ptr<sqlite3, Close> connection_;
  std::shared_ptr<PageCheck> check_;
  Path path_;
};

/// BEGIN IMMEDIATE; rolls back unless committed. A commit that throws leaves it unknown whether it happened: reopen and
/// look.
class Transaction {
 public:
  explicit Transaction(const Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  const Database& database_;
  bool open_ = true;
};

/// Version of SQLCipher and of the SQLite in it, for `version --verbose`.
struct DatabaseLibraryVersion {
  std::string sqlcipher;
  std::string sqlite;
};
DatabaseLibraryVersion database_library_version();

}  // namespace casevault
