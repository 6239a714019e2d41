#include "vault/records/gather.h"

#include <chrono>

#include "vault/records/source_reader.h"

namespace casevault {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(100);
constexpr std::size_t kMaxFiles = 2048;
constexpr std::size_t kMaxBodies = 64;             // each holds a descriptor
constexpr std::uint64_t kMaxHeldBytes = 8u << 20;  // two batches are in memory
constexpr std::uint64_t kMaxBodyBytes = 1u << 30;  // on the disk; so that much is reported at a time

}  // namespace

bool Batch::is_full() const {
  return files.size() >= kMaxFiles || bodies.size() >= kMaxBodies || held_bytes >= kMaxHeldBytes ||
         body_bytes >= kMaxBodyBytes || skipped.size() >= kMaxFiles;
}

ContentView Batch::content_of(const ReadyFile& file) const {
  if (!file.body) return {file.content};
  const auto& writer = bodies[*file.body];
  if (file.body != pack) return {{}, &writer.ref()};
  return {{}, &writer.ref(), file.body_offset, writer.size()};
}

Gatherer::Gatherer(const SourceList& list, const BodyStore& bodies, const BodyNameKey& name_key, VersionDetails base)
    : list_(list), bodies_(bodies), name_key_(name_key), base_(std::move(base)), thread_([this] { run(); }) {}

Gatherer::~Gatherer() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::optional<Batch> Gatherer::next(const std::function<void()>& while_waiting) {
  for (;;) {
    while_waiting();
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [this] { return ready_ || finished_; })) continue;
    if (!ready_ && failure_) std::rethrow_exception(failure_);
    auto batch = std::exchange(ready_, std::nullopt);
    lock.unlock();
    changed_.notify_all();
    return batch;
  }
}

void Gatherer::run() {
  std::exception_ptr failure;
  try {
    read_all();
  } catch (...) {
    failure = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    failure_ = failure;
  }
  changed_.notify_all();
}

void Gatherer::read_all() {
  SourceReader reader(list_, bodies_, name_key_, base_, {done_bytes_, stop_});
  Batch batch;
  for (const auto& file : list_.files()) {
    if (stop_) return;
    reader.read(file, batch);
    if (!batch.is_full()) continue;
    reader.finish_batch(batch);
    hand_over(std::exchange(batch, {}));
  }
  reader.finish_batch(batch);
  hand_over(std::move(batch));
}

void Gatherer::hand_over(Batch batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stop_ || !ready_; });
  if (stop_) return;
  ready_ = std::move(batch);
  lock.unlock();
  changed_.notify_all();
}

}  // namespace casevault
