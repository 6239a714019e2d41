#include "vault/records/hashing.h"

#include <cstring>

#include "crypto/error.h"

namespace casevault {

HashingThread::HashingThread() {
  for (auto& buffer : buffers_) buffer.resize(kBufferSize);
  thread_ = std::thread([this] { run(); });
}

HashingThread::~HashingThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
  for (auto& buffer : buffers_) ::explicit_bzero(buffer.data(), buffer.size());
}

std::span<std::byte> HashingThread::buffer() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return submitted_ - hashed_ < kBuffers; });
  return buffers_[submitted_ % kBuffers];
}

void HashingThread::submit(std::size_t size) {
  require(size <= kBufferSize, "a buffer of content is overfull");
  {
    const std::lock_guard lock(mutex_);
    sizes_[submitted_ % kBuffers] = size;
    ++submitted_;
  }
  changed_.notify_all();
}

Sha256Digest HashingThread::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return submitted_ == hashed_; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  return hasher_.finish();
}

void HashingThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || submitted_ != hashed_; });
    if (stop_) return;
    const std::size_t slot = hashed_ % kBuffers;
    const ByteView data = ByteView(buffers_[slot]).first(sizes_[slot]);
    lock.unlock();
    std::exception_ptr failure;
    try {
      hasher_.update(data);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && !failure_) failure_ = failure;
    ++hashed_;
    changed_.notify_all();
  }
}

}  // namespace casevault
