#include "vault/custody/custodian_thread.h"

#include <algorithm>

#include "crypto/error.h"
#include "vault/custody/service_log.h"

namespace casevault {
namespace {

constexpr std::size_t kJobOverhead = 2048;  // bytes of a queued request besides its body: headers, mostly
constexpr std::chrono::minutes kTick{1};
constexpr std::size_t kSendAtOnce = 32;  // replies to long polls, so that the first leave while the rest are written

}  // namespace

CustodianThread::CustodianThread(Custodian custodian, std::function<std::int64_t()> now_ms, Deliver deliver,
                                 std::function<void()> ended)
    : custodian_(std::move(custodian)),
      now_ms_(std::move(now_ms)),
      deliver_(std::move(deliver)),
      ended_(std::move(ended)),
      thread_([this] { run(); }) {}

CustodianThread::~CustodianThread() {
  drain();
  if (thread_.joinable()) thread_.join();
}

CustodianThread::Taken CustodianThread::submit(ConnectionId connection, HttpRequest request) {
  const std::size_t bytes = kJobOverhead + request.wire.body.size();
  const std::lock_guard lock(mutex_);
  if (draining_ || queued_bytes_ + bytes > kMaxBytes) return Taken::kBusy;
  queued_bytes_ += bytes;
  queue_.push_back({connection, std::move(request), bytes});
  if (queue_.size() == 1) changed_.notify_one();
  return Taken::kQueued;
}

void CustodianThread::forget(ConnectionId connection) {
  const std::lock_guard lock(mutex_);
  gone_.push_back(connection);
}

void CustodianThread::drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
  changed_.notify_one();
}

void CustodianThread::join() {
  thread_.join();
  if (failure_) std::rethrow_exception(failure_);
}

void CustodianThread::run() noexcept {
  try {
    while (work()) {
    }
  } catch (...) {
    failure_ = std::current_exception();
  }
  ended_();
}

/// One batch; false when there is nothing left to do for ever.
bool CustodianThread::work() {
  Batch batch = next_batch();
  woken_.clear();
  serve(batch.jobs);
  for (const ConnectionId connection : batch.gone) waits_.remove(connection);
  has_space_for([this] { tick(); });
  const bool is_last = batch.draining && batch.jobs.empty();
  end_waits(is_last ? waits_.all() : waits_.over(Waits::Clock::now()));
  commit();
  send_replies();
  answer_woken();
  return !is_last;
}

/// Does it and commits it. False when there was no space on the disk for that: then nothing of it was done.
bool CustodianThread::has_space_for(const std::function<void()>& act) {
  const std::size_t replies = replies_.size();
  try {
    act();
    commit();
    return true;
  } catch (const Error& error) {
    if (error.code() != Errc::kNoSpace) throw;
  }
  service_log::abuse("no space is left: only orders are taken", "the disk");
  replies_.resize(replies);
  touched_ = false;
  custodian_.undo(now_ms_());
  return false;
}

/// All together, or where the disk is full one by one, and only orders.
void CustodianThread::serve(std::vector<Job>& jobs) {
  const auto handle_all = [&] {
    for (Job& job : jobs) handle(job);
  };
  if (has_space_for(handle_all)) return;
  for (Job& job : jobs) {
    waits_.remove(job.connection);
    if (woken_.contains(job.connection)) continue;
    const bool is_order = job.request.wire.method == "POST" && job.request.wire.path == "/v1/orders";
    if (!is_order || !obey_on_a_full_disk(job)) replies_.push_back({job.connection, Custodian::no_space()});
  }
}

/// With the space that is kept for it, if need be.
bool CustodianThread::obey_on_a_full_disk(Job& job) {
  const auto obey = [&] { handle(job); };
  if (has_space_for(obey)) return true;
  custodian_.spend_reserve();
  const bool is_done = has_space_for(obey);
  custodian_.keep_reserve();
  return is_done;
}

/// Waits until there is something to do.
CustodianThread::Batch CustodianThread::next_batch() {
  std::unique_lock lock(mutex_);
  const auto is_due = [this] { return !queue_.empty() || draining_; };
  changed_.wait_until(lock, std::min(waits_.next_end().value_or(next_tick_), next_tick_), is_due);
  Batch batch = {.gone = std::exchange(gone_, {}), .draining = draining_};
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), kMaxBatch));
  batch.jobs.assign(std::move_iterator(queue_.begin()), std::move_iterator(end));
  queue_.erase(queue_.begin(), end);
  for (const Job& job : batch.jobs) queued_bytes_ -= job.bytes;
  return batch;
}

void CustodianThread::handle(Job& job) {
  const HttpRequest& request = job.request;
  const WireSignature* signature = request.signature ? &*request.signature : nullptr;
  touched_ = true;
  if (request.wire.path != "/v1/orders/wait") {
    replies_.push_back({job.connection, custodian_.handle(request.wire, signature, now_ms_())});
    answer_woken();
    return;
  }
  Custodian::WaitOrAnswer started = custodian_.begin_wait(request.wire, signature, now_ms_());
  if (started.wait) {
    waits_.add(job.connection, *started.wait, Waits::Clock::now());
  } else {
    replies_.push_back({job.connection, std::move(*started.answer)});
  }
}

void CustodianThread::end_waits(const std::vector<ConnectionId>& connections) {
  for (const ConnectionId connection : connections) {
    const auto wait = waits_.remove(connection);
    touched_ = true;
    replies_.push_back({connection, custodian_.end_wait(*wait, now_ms_())});
  }
}

void CustodianThread::tick() {
  const auto now = Waits::Clock::now();
  if (now < next_tick_) return;
  next_tick_ = now + kTick;
  touched_ = true;
  custodian_.tick(now_ms_());
}

void CustodianThread::commit() {
  if (std::exchange(touched_, false)) custodian_.commit();
}

/// The long polls for which there is news on the disk. Nothing else is answered here: it may not be committed yet.
void CustodianThread::answer_woken() {
  for (const ByteArray<16>& vault : custodian_.take_woken()) {
    std::vector<Reply> replies;
    std::size_t told = 0;
    for (const ConnectionId connection : waits_.of_vault(vault)) {
      auto answer = custodian_.poll(waits_.at(connection), now_ms_());
      if (!answer) continue;
      waits_.remove(connection);
      woken_.insert(connection);
      replies.push_back({connection, std::move(*answer)});
      ++told;
      if (replies.size() >= kSendAtOnce) deliver_(std::exchange(replies, {}));
    }
    if (!replies.empty()) deliver_(std::move(replies));
    service_log::info("vault " + service_log::short_id(vault) + ": news for " + std::to_string(told) + " machines");
  }
}

void CustodianThread::send_replies() {
  if (!replies_.empty()) deliver_(std::exchange(replies_, {}));
}

}  // namespace casevault
