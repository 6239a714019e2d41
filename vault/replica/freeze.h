#pragma once
#include <functional>
#include <string>
#include <vector>

#include "vault/replica/manifest.h"
#include "vault/storage/file.h"

namespace casevault {

/// A vault held still for a moment: nobody changes keys (the lock of `slots`), and nobody writes to any database, for
/// each is locked as a reader of it would lock it. Needs no key, so databases closed to the user are copied as well.
/// What is read is what a power cut at that moment would have left: a vault opens from that without loss.
///
/// SQLite's own backup is not used: it needs every database's key, and gives every page a new nonce, so that no two
/// copies would have a chunk in common.
class Freeze {
 public:
  /// @throws Error: kBusy when somebody is at work without a pause for longer than `timeout_ms`; kDamaged.
  static Freeze take(const Path& vault, int timeout_ms);

  /// Gets each chunk of each file, in order.
  using TakeChunk = std::function<void(const Sha256Digest& hash, ByteView chunk)>;
  /// Reads everything; a database is let go as soon as it was read, the rest on destruction.
  std::vector<ReplicaFile> read(const TakeChunk& take);
  /// Of the vault itself, not of the one in spare/; known once read.
  const LogCite& log() const { return log_; }

 private:
  struct Part {
    std::string name;
    File file;
    std::uint64_t size = 0;
    bool is_database = false;
  };
  explicit Freeze(Path vault) : vault_(std::move(vault)) {}
  void add_slots(const std::string& root, int timeout_ms);
  void add_databases(const std::string& root, const std::string& folder, int timeout_ms);
  void add_rest(const std::string& root);
  void add_file(const std::string& name, bool is_database);
  ReplicaFile read_part(Part& part, const TakeChunk& take);

  Path vault_;
  std::vector<Part> parts_;
  LogCite log_;
};

}  // namespace casevault
