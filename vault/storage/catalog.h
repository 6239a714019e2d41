#pragma once
#include <nlohmann/json_fwd.hpp>

#include "crypto/secret.h"
#include "vault/storage/catalog_state.h"
#include "vault/storage/database.h"

namespace casevault {

/// `catalog.db`: the vault's signed chain (CatalogState says what is in it), the sealed blobs its statements name by
/// hash (case keys, titles, role keys, copies of vault.json and the handover), and how far the audit log was when last
/// seen.
class Catalog {
 public:
  static Catalog create(const Path& path, const CatalogKey& key, std::uint32_t epoch, const VaultId& vault,
                        const VerifyKey& root);
  /// Replays and checks the chain. @throws Error{kDamaged}
  static Catalog open(const Path& path, const CatalogKey& key, std::uint32_t epoch, const VaultId& vault,
                      const VerifyKey& root);
  /// Which of one's keys the file belongs to; authenticates nothing.
  static bool is_keyed_by(const Path& path, const CatalogKey& key, std::uint32_t epoch, const VaultId& vault);
  /// Everything into a new file under a new key; the chain goes on there.
  Catalog copy_to(const Path& path, const CatalogKey& key, std::uint32_t epoch) const;

  const CatalogState& state() const { return state_; }
  const Database& database() const { return database_; }
  /// Takes in what other processes have appended.
  void refresh();
  /// False once another process has put a new catalogue in this one's place.
  bool is_current() const;

  /// Changes that count together or not at all. Holds the catalogue's write lock; starts from a refreshed state.
  class Update {
   public:
    explicit Update(Catalog& catalog);
    /// As it will be when this is committed.
    const CatalogState& state() const { return state_; }
    /// Signs `statement` (with "by", "time", "log_size", "log_root" already in it), checks it as any reader will, and
    /// appends it.
    void append(const nlohmann::json& statement, const SigningKey& key);
    Sha256Digest put_blob(ByteView data);
    void erase_blob(const Sha256Digest& hash);
    /// The file outside the catalogue is written after the commit: until set_finished its old content is no sign of
    /// tampering.
    void announce_file(std::string_view file);
    void commit();

   private:
    Catalog& catalog_;
    Transaction transaction_;
    CatalogState state_;
  };

  /// nullopt when it is not there (erased, or lost). The content is checked against its hash. @throws Error{kDamaged}
  std::optional<Bytes> blob(const Sha256Digest& hash) const;

  /// Whether a file that was announced still waits to be written: a crash came between.
  bool is_unfinished(std::string_view file) const;
  void set_finished(std::string_view file);
  /// Everything that was announced and still waits.
  std::vector<std::string> unfinished() const;

  /// The audit log as it was after the last access through this catalogue. Size 0 when never set.
  LogCite log_head() const;
  void set_log_head(const LogCite& head);

  /// The last cosignature of the audit log by a witness; size 0 when there was none.
  struct Witnessed {
    std::uint64_t size = 0;    // entries
    std::int64_t time_ms = 0;  // by the witness's clock
    std::uint64_t place = 0;   // the number of the inode of `slots`: a copy has another
  };
  Witnessed witnessed() const;
  void set_witnessed(const Witnessed& last);

 private:
  Catalog(Database database, const VaultId& vault, const VerifyKey& root);
  Database database_;
  CatalogState state_;
  std::uint64_t inode_ = 0;  // of the file that was opened
};

}  // namespace casevault
