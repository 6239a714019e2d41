#pragma once
#include <array>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "crypto/hash.h"

namespace casevault {

/// SHA-256 on a thread of its own, while the caller does something else with the same bytes: sealing or writing them.
/// The caller fills a buffer, submits it, may go on reading it, and fills the next.
class HashingThread {
 public:
  static constexpr std::size_t kBufferSize = 512 * 1024;  // bytes

  HashingThread();
  ~HashingThread();
  HashingThread(const HashingThread&) = delete;
  HashingThread& operator=(const HashingThread&) = delete;

  /// A buffer that is not being hashed; the same one until it is submitted. Waits for one.
  std::span<std::byte> buffer();
  /// The first `size` bytes of the buffer follow what was submitted before. They can be read until `buffer` is called
  /// again.
  void submit(std::size_t size);
  /// The digest of all that was submitted since the last one. Waits.
  Sha256Digest finish();

 private:
  static constexpr std::size_t kBuffers = 3;
  void run();

  std::array<Bytes, kBuffers> buffers_;
  std::array<std::size_t, kBuffers> sizes_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t submitted_ = 0;
  std::uint64_t hashed_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;
  Sha256 hasher_;
  std::thread thread_;
};

}  // namespace casevault
