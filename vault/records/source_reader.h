#pragma once
#include <atomic>
#include <memory>

#include "vault/records/gather.h"
#include "vault/records/hashing.h"

namespace casevault {

/// Reads one file after the other into batches. Does what the gatherer's thread does, without the thread.
class SourceReader {
 public:
  /// Shared with other threads: bytes read so far, and whether to stop.
  struct Shared {
    std::atomic<std::uint64_t>& done_bytes;
    const std::atomic<bool>& stop;
  };
  SourceReader(const SourceList& list, const BodyStore& bodies, const BodyNameKey& name_key, const VersionDetails& base,
               Shared shared)
      : opener_(list), bodies_(bodies), name_key_(name_key), base_(base), shared_(shared) {}

  /// Adds the file to the batch, or the reason why it was skipped: it cannot be read, or it changed while it was.
  /// @throws Error when the vault cannot be written.
  void read(const SourceFile& file, Batch& batch);
  /// Call before the batch is handed on. @throws Error when the vault cannot be written.
  static void finish_batch(Batch& batch);

 private:
  struct Reading;
  void read_open(const SourceFile& file, Reading& reading, Batch& batch);
  void read_inline(Reading& reading);
  void read_body(Reading& reading);
  void copy_to_body(Reading& reading, BodyStore::Writer& writer);
  void finish(const SourceFile& file, Reading& reading, Batch& batch) const;

  SourceOpener opener_;
  const BodyStore& bodies_;
  const BodyNameKey& name_key_;
  const VersionDetails& base_;
  Shared shared_;
  std::unique_ptr<HashingThread> hashing_;  // made for the first body
};

}  // namespace casevault
