#pragma once
#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "vault/records/details.h"
#include "vault/records/walk.h"
#include "vault/storage/bodies.h"
#include "vault/storage/case_store.h"

namespace casevault {

/// A file read, hashed and made ready for the case database.
struct ReadyFile {
  std::string name;
  std::uint64_t size = 0;  // bytes
  Sha256Digest sha256{};
  PreparedVersion prepared;
  Bytes content;                          // where it is to stand in the database
  std::optional<std::size_t> body;        // where it stands in a body: index in the batch's bodies
  std::uint64_t body_offset = 0;          // in a body that holds several, bytes
  std::optional<CaseStore::Place> known;  // where the case has this content already
  std::optional<std::size_t> same_as;     // a file before it in the batch with the same content
  bool may_be_known = true;               // false: it is added even so

  bool is_known() const { return known || same_as; }
};

/// What goes into one transaction.
struct Batch {
  std::vector<ReadyFile> files;
  std::vector<BodyStore::Writer> bodies;  // finished, not yet synced
  std::optional<std::size_t> pack;        // the one of them that holds many small contents
  std::vector<SkippedFile> skipped;
  std::uint64_t held_bytes = 0;   // in memory
  std::uint64_t loose_bytes = 0;  // of these, small contents that are not text
  std::uint64_t body_bytes = 0;   // in bodies

  ContentView content_of(const ReadyFile& file) const;
  /// Time to commit it: memory, descriptors, or what would be lost by an interruption.
  bool is_full() const;
};

/// Reads files on a thread of its own, one batch ahead of whoever takes the batches.
class Gatherer {
 public:
  /// `base` is what the details of all the files have in common; without a media type in it, each file's is guessed.
  /// List, store and key must outlive the object.
  Gatherer(const SourceList& list, const BodyStore& bodies, const BodyNameKey& name_key, VersionDetails base);
  /// Stops at the next block; bodies that nobody took are removed.
  ~Gatherer();
  Gatherer(const Gatherer&) = delete;
  Gatherer& operator=(const Gatherer&) = delete;

  /// The next batch; nullopt when all were taken. Calls `while_waiting` some ten times a second, which may throw.
  /// @throws what stopped the reading, after the batches before it were taken.
  std::optional<Batch> next(const std::function<void()>& while_waiting);
  /// Bytes read so far, of files that were skipped too.
  std::uint64_t done_bytes() const { return done_bytes_; }

 private:
  void run();
  void read_all();
  void hand_over(Batch batch);

  const SourceList& list_;
  const BodyStore& bodies_;
  const BodyNameKey& name_key_;
  const VersionDetails base_;
  std::atomic<std::uint64_t> done_bytes_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Batch> ready_;
  bool finished_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace casevault
