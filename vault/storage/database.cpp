#include "vault/storage/database.h"

#include <sqlcipher/sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <utility>

#include "crypto/kdf.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kSaltSize = 16;  // bytes, at the start of the file
constexpr int kBusyTimeoutMs = 10'000;
using Salt = ByteArray<kSaltSize>;
using RawKey = Key<struct RawDatabasePurpose>;

std::string name_of(const Path& path) { return "'" + escape_for_display(path.filename().native()) + "'"; }

// SQLCipher 4.6 reports a changed page 1 as NOTADB and a tree page as CORRUPT. For an overflow page it leaves
// SQLITE_ERROR, for whoever asks for the next page; a mistake in SQL has the same code, but a message of its own.
Errc code_of(int extended, int system_error, std::string_view message) {
  if (extended == SQLITE_ERROR && message == sqlite3_errstr(SQLITE_ERROR)) return Errc::kDamaged;
  if (extended == SQLITE_IOERR) return Errc::kDamaged;          // SQLite itself always says which kind
  if (extended == SQLITE_READONLY_DBMOVED) return Errc::kBusy;  // another process put a new file in its place
  if (extended == SQLITE_IOERR_DATA || extended == SQLITE_IOERR_CORRUPTFS || extended == SQLITE_IOERR_SHORT_READ)
    return Errc::kDamaged;
  switch (extended & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Errc::kBusy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Errc::kDamaged;
    case SQLITE_FULL:
      return Errc::kNoSpace;
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return Errc::kNotAllowed;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return error_code_of(system_error);
    default:
      return Errc::kInternal;
  }
}

std::string complaint(Errc code, int result) {
  switch (code) {
    case Errc::kBusy:
      return " is in use by another process";
    case Errc::kDamaged:
      return " is damaged, or not what its key belongs to";
    case Errc::kNoSpace:
      return " cannot be written: no space left on device";
    case Errc::kNotAllowed:
      return " cannot be opened or written: permission denied, or a read-only disk";
    default:
      return std::string(" failed: ") + sqlite3_errstr(result) + " (SQLite result " + std::to_string(result) + ")";
  }
}

// SQLite's own message is left out: it may quote SQL.
[[noreturn]] void fail(sqlite3* connection, const std::string& what) {
  const int result = sqlite3_extended_errcode(connection);
  const Errc code = code_of(result, sqlite3_system_errno(connection), sqlite3_errmsg(connection));
  throw Error(code, what + complaint(code, result));
}

void check(int result, sqlite3* connection, const std::string& what) {
  if (result != SQLITE_OK) fail(connection, what);
}

// Neither a link nor a pipe nor a folder: SQLite would follow the first and wait for the second.
bool is_plain_file(const Path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    throw Error(error_code_of(errno), "cannot look at " + name_of(path));
  }
  return S_ISREG(status.st_mode);
}

// SQLite falls back to reading by itself where the disk or the permissions allow no more. An absolute path is never
// taken for a "file:" address nor for ":memory:". The connection is returned even on failure, for its error.
sqlite3* open_connection(const Path& path, int flags) {
  sqlite3* connection = nullptr;
  sqlite3_open_v2(std::filesystem::absolute(path).c_str(), &connection, flags | SQLITE_OPEN_EXRESCODE, nullptr);
  require(connection != nullptr, "no memory for a database connection");
  return connection;
}

Salt derive_salt(const DatabaseKey& key) {
  Salt salt;
  derive_bytes(key, "casevault/v1/database-salt", {}, salt);
  return salt;
}

// Read through SQLite's own descriptor: closing another one on this file would drop the locks that this process's
// connections hold.
std::optional<Salt> read_salt(sqlite3* connection) {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK) return std::nullopt;
  if (file == nullptr || file->pMethods == nullptr) return std::nullopt;
  Salt salt;
  if (file->pMethods->xRead(file, salt.data(), kSaltSize, 0) != SQLITE_OK) return std::nullopt;
  return salt;
}

void put_hex(ByteView bytes, std::span<std::byte> out) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto value = std::to_integer<unsigned>(bytes[i]);
    // Arithmetic instead of a table: no memory access depends on the key.
    const auto digit = [](unsigned nibble) {
      return static_cast<std::byte>('0' + nibble + ((9 - nibble) >> 8 & ('a' - '9' - 1)));
    };
    out[2 * i] = digit(value >> 4);
    out[2 * i + 1] = digit(value & 0xF);
  }
}

// SQLCipher's raw key with salt: x'<64 hex digits of key><32 hex digits of salt>'.
void set_key(sqlite3* connection, const DatabaseKey& key, const std::string& what) {
  constexpr std::size_t kSpecSize = 3 + 2 * RawKey::kSize + 2 * kSaltSize;
  static_assert(kSpecSize == 99, "SQLCipher takes any other length for a passphrase");
  const auto raw = derive_key<RawKey>(key, "casevault/v1/database-key");
  SecretBytes spec(kSpecSize);
  const auto out = spec.expose_secret_for_writing();
  out[0] = std::byte{'x'};
  out[1] = out[kSpecSize - 1] = std::byte{'\''};
  put_hex(raw.expose_secret(), out.subspan(2));
  put_hex(derive_salt(key), out.subspan(2 + 2 * RawKey::kSize));
  check(sqlite3_key(connection, spec.expose_secret().data(), kSpecSize), connection, what);
}

struct Setting {
  const char* set;       // nullptr: only read back
  const char* name;      // what to read
  const char* expected;  // as text
};
// Global and first: SQLCipher writes to stderr otherwise.
constexpr Setting kQuiet{"PRAGMA cipher_log_level = NONE", "PRAGMA cipher_log_level", "NONE"};
constexpr Setting kCipherSettings[] = {
    {"PRAGMA cipher_compatibility = 4", "PRAGMA cipher_page_size", "4096"},
    {nullptr, "PRAGMA cipher_use_hmac", "1"},
    {nullptr, "PRAGMA cipher_hmac_algorithm", "HMAC_SHA512"},
    {nullptr, "PRAGMA cipher_kdf_algorithm", "PBKDF2_HMAC_SHA512"},
    {nullptr, "PRAGMA cipher_plaintext_header_size", "0"},
};
constexpr Setting kSettings[] = {
    {"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "2"},
    {"PRAGMA trusted_schema = OFF", "PRAGMA trusted_schema", "0"},
    {"PRAGMA cell_size_check = ON", "PRAGMA cell_size_check", "1"},
    {"PRAGMA journal_mode = TRUNCATE", "PRAGMA journal_mode", "truncate"},
    {"PRAGMA synchronous = EXTRA", "PRAGMA synchronous", "3"},
    {"PRAGMA secure_delete = ON", "PRAGMA secure_delete", "1"},
    {"PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", "1"},
    {"PRAGMA mmap_size = 0", "PRAGMA mmap_size", "0"},
    {"PRAGMA cache_size = -32768", "PRAGMA cache_size", "-32768"},  // KiB
    {nullptr, "PRAGMA page_size", "4096"},
};

void apply(const Database& database, const Setting& setting) {
  if (setting.set != nullptr) database.execute(setting.set);
  Statement read = database.prepare(setting.name);
  if (read.step() && read.text(0) == setting.expected) return;
  throw Error(Errc::kInternal,
              name_of(database.path()) + " cannot be used safely: SQLCipher refuses '" + setting.name + "'");
}

void configure(sqlite3* connection, int option, int value, const std::string& what) {
  int now = -1;
  check(sqlite3_db_config(connection, option, value, &now), connection, what);
  require(now == value, "SQLCipher refuses a safety setting");
}

void harden(sqlite3* connection, const std::string& what) {
  configure(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, what);
  configure(connection, SQLITE_DBCONFIG_DQS_DDL, 0, what);
  configure(connection, SQLITE_DBCONFIG_DQS_DML, 0, what);
  configure(connection, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, what);
  configure(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, what);
  sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED,
                0);  // no ATTACH, so no plaintext ATTACH (and no VACUUM: copy instead)
  require(sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, -1) == 0, "SQLCipher refuses a safety setting");
  check(sqlite3_busy_timeout(connection, kBusyTimeoutMs), connection, what);
}

void discard(const Path& path) noexcept {
  try {
    remove_file(path);
  } catch (const Error&) {
    // On the way out with the error that matters.
  }
}

std::int64_t version_of(const Database& database) {
  Statement read = database.prepare("PRAGMA user_version");
  return read.step() ? read.integer(0) : -1;
}

// Appends the first column of every row but "ok". What cannot be read at all is one finding more.
void collect_findings(const Database& database, const char* pragma, std::vector<std::string>& findings) {
  try {
    Statement read = database.prepare(pragma);
    while (read.step()) {
      std::istringstream lines(read.text(0));  // SQLite puts many into one
      for (std::string line; std::getline(lines, line);) {
        if (line != "ok" && !line.starts_with("***")) findings.push_back(line);
      }
    }
  } catch (const Error& error) {
    if (error.code() != Errc::kDamaged) throw;
    findings.push_back(error.what());
  }
}

}  // namespace

// Measured with SQLCipher 4.6.1: when the HMAC of an overflow page is wrong, the page reads as zeros, and only the next
// request for a page fails. Was it the last one, a query ends well with zeros in its result. So after every row and at
// the end another page is asked for, while the read transaction, and with it the error, lasts.
class PageCheck {
 public:
  explicit PageCheck(sqlite3* connection, std::string what) : what_(std::move(what)) {
    for (auto* statement : {&holder_, &probe_}) {
      sqlite3_stmt* prepared = nullptr;
      check(sqlite3_prepare_v2(connection, "SELECT EXISTS (SELECT 1 FROM sqlite_schema)", -1, &prepared, nullptr),
            connection, what_);
      statement->reset(prepared);
    }
  }

  /// Keeps the read transaction of `self` open while the result lives.
  static std::shared_ptr<void> hold(const std::shared_ptr<PageCheck>& self) {
    if (self->holds_ == 0 && sqlite3_step(self->holder_.get()) != SQLITE_ROW) {
      self->fail_and_reset(self->holder_.get());
    }
    ++self->holds_;
    return {self.get(), [self](void*) {
              if (--self->holds_ == 0) sqlite3_reset(self->holder_.get());
            }};
  }

  /// @pre a transaction is open. @throws Error{kDamaged} when a page read in it was not authentic.
  void run() {
    if (sqlite3_step(probe_.get()) != SQLITE_ROW) fail_and_reset(probe_.get());
    sqlite3_reset(probe_.get());
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  [[noreturn]] void fail_and_reset(sqlite3_stmt* statement) const {
    try {
      fail(sqlite3_db_handle(statement), what_);
    } catch (...) {
      sqlite3_reset(statement);
      throw;
    }
  }
  std::string what_;
  std::unique_ptr<sqlite3_stmt, Finalize> holder_;
  std::unique_ptr<sqlite3_stmt, Finalize> probe_;
  int holds_ = 0;
};

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::bind(int index, std::int64_t value) {
  check(sqlite3_bind_int64(statement_.get(), index, value), sqlite3_db_handle(statement_.get()), what_);
  return *this;
}

// A null pointer would bind NULL, and an empty view may hold one.
Statement& Statement::bind(int index, std::string_view text) {
  const char* data = text.empty() ? "" : text.data();
  check(sqlite3_bind_text64(statement_.get(), index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8),
        sqlite3_db_handle(statement_.get()), what_);
  return *this;
}

Statement& Statement::bind(int index, ByteView blob) {
  const void* data = blob.empty() ? static_cast<const void*>("") : blob.data();
  check(sqlite3_bind_blob64(statement_.get(), index, data, blob.size(), SQLITE_STATIC),
        sqlite3_db_handle(statement_.get()), what_);
  return *this;
}

Statement& Statement::bind_null(int index) {
  check(sqlite3_bind_null(statement_.get(), index), sqlite3_db_handle(statement_.get()), what_);
  return *this;
}

bool Statement::step() {
  sqlite3_stmt* statement = statement_.get();
  sqlite3* connection = sqlite3_db_handle(statement);
  try {
    // Not for statements that write: holding a read transaction they would not wait for another writer.
    const bool alone = sqlite3_stmt_readonly(statement) != 0 && sqlite3_get_autocommit(connection) != 0;
    if (check_ && alone && !hold_) hold_ = PageCheck::hold(check_);
    const int result = sqlite3_step(statement);
    if (result != SQLITE_ROW && result != SQLITE_DONE) fail(connection, what_);
    if (check_ && (result == SQLITE_ROW || hold_ || sqlite3_get_autocommit(connection) == 0)) check_->run();
    if (result == SQLITE_DONE) reset();
    return result == SQLITE_ROW;
  } catch (...) {
    reset();
    throw;
  }
}

void Statement::run() {
  const bool row = step();
  if (row) reset();
}

void Statement::reset() {
  // Returns the error of the last step once more, which step has thrown.
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  hold_.reset();
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return data == nullptr ? std::string() : std::string(data, size);
}

Bytes Statement::blob(int column) const {
  const ByteView view = blob_view(column);
  return Bytes(view.begin(), view.end());
}

ByteView Statement::blob_view(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return data == nullptr ? ByteView() : ByteView(data, size);
}

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

// Waits for statements that outlive it.
void Database::Close::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

Database Database::connect(const Path& path, const DatabaseKey& key, int flags) {
  const std::string what = name_of(path);
  Database database(open_connection(path, flags), path);
  sqlite3* connection = database.connection_.get();
  check(sqlite3_extended_errcode(connection), connection, what);
  harden(connection, what);
  apply(database, kQuiet);
  set_key(connection, key, what);
  for (const Setting& setting : kCipherSettings) apply(database, setting);
  for (const Setting& setting : kSettings) apply(database, setting);
  database.check_ = std::make_shared<PageCheck>(connection, what);
  return database;
}

Database Database::create(const Path& path, const DatabaseKey& key, const char* schema, int version) {
  File::create_new(path);  // ours alone and 0600; the journal takes over its permissions
  try {
    Database database = connect(path, key, SQLITE_OPEN_READWRITE);
    Transaction transaction(database);
    database.execute(schema);
    database.execute(("PRAGMA user_version = " + std::to_string(version)).c_str());
    transaction.commit();
    const Path folder = path.parent_path();
    sync_directory(folder.empty() ? Path(".") : folder);
    return database;
  } catch (...) {
    discard(path);
    discard(Path(path) += "-journal");
    throw;
  }
}

Database Database::open(const Path& path, const DatabaseKey& key, int version) {
  if (!is_plain_file(path)) throw Error(Errc::kDamaged, name_of(path) + " is missing");
  // SQLCipher itself does not look at the salt in the file when it is given one.
  if (!is_keyed_by(path, key)) throw Error(Errc::kDamaged, name_of(path) + " is not the database this key belongs to");
  Database database = connect(path, key, SQLITE_OPEN_READWRITE);
  const std::int64_t found = version_of(database);
  if (found > version)
    throw Error(Errc::kNoVault, name_of(path) + " is of a newer format; this program is too old for it");
  if (found < version)
    throw Error(Errc::kDamaged,
                name_of(path) + " is of format " + std::to_string(found) + " instead of " + std::to_string(version));
  // Whoever may write to it could otherwise leave code behind that runs in a colleague's next write.
  auto code = database.prepare("SELECT 1 FROM sqlite_schema WHERE type IN ('trigger', 'view')");
  if (code.step()) throw Error(Errc::kDamaged, name_of(path) + " holds triggers or views, which casevault never makes");
  return database;
}

bool Database::is_keyed_by(const Path& path, const DatabaseKey& key) {
  if (!is_plain_file(path)) return false;
  const Database database(open_connection(path, SQLITE_OPEN_READONLY), path);
  check(sqlite3_extended_errcode(database.connection_.get()), database.connection_.get(), name_of(path));
  return read_salt(database.connection_.get()) == derive_salt(key);
}

Statement Database::prepare(const char* sql) const {
  sqlite3_stmt* statement = nullptr;
  check(sqlite3_prepare_v2(connection_.get(), sql, -1, &statement, nullptr), connection_.get(), name_of(path_));
  require(statement != nullptr, "an SQL statement is empty");
  return Statement(statement, name_of(path_), check_);
}

void Database::execute(const char* sql) const {
  check(sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr), connection_.get(), name_of(path_));
}

std::vector<std::string> Database::check_integrity() const {
  std::vector<std::string> findings;
  collect_findings(*this, "PRAGMA cipher_integrity_check", findings);
  collect_findings(*this, "PRAGMA integrity_check", findings);
  return findings;
}

Transaction::Transaction(const Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const Error&) {
    // SQLite has rolled back by itself, or will when the file is next opened: the journal is still there.
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

DatabaseLibraryVersion database_library_version() {
  sqlite3* opened = nullptr;
  sqlite3_open_v2(":memory:", &opened, SQLITE_OPEN_READWRITE, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> connection(opened, sqlite3_close_v2);
  std::string cipher = "unknown";
  const auto keep = [](void* out, int, char** values, char**) {
    if (values[0] != nullptr) *static_cast<std::string*>(out) = values[0];
    return 0;
  };
  sqlite3_exec(opened, "PRAGMA cipher_version", keep, &cipher, nullptr);
  return {cipher, sqlite3_libversion()};
}

}  // namespace casevault
