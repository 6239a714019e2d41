#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "vault/custody/custodian.h"
#include "vault/custody/http.h"
#include "vault/custody/waits.h"

namespace casevault {

/// An answer and the connection that it is for.
struct Reply {
  ConnectionId connection = 0;
  WireAnswer answer;
};

/// The one thread that owns the custodian. It takes all requests that are queued, lets the custodian handle each, and
/// commits once for all of them; only then do the answers go (group commit). It also keeps the long polls: those that
/// an order which cannot be lost any more wakes are answered before the commit.
class CustodianThread {
 public:
  /// Called on the thread, with answers whose effects are on the disk.
  using Deliver = std::function<void(std::vector<Reply>)>;
  /// `ended`: called on the thread as its last act.
  CustodianThread(Custodian custodian, std::function<std::int64_t()> now_ms, Deliver deliver,
                  std::function<void()> ended);
  ~CustodianThread();

  // Any thread.
  enum class Taken { kQueued, kBusy };
  /// `connection` gets exactly one reply for each request that was queued, unless the thread fails.
  Taken submit(ConnectionId connection, HttpRequest request);
  /// This connection is gone: its long poll, if it has one, ends without an answer.
  void forget(ConnectionId connection);
  /// No more requests; what is queued is finished, long polls are answered, then the thread ends.
  void drain();

  /// After `ended`. @throws what ended the thread before it was drained: then nothing of the last batch was answered.
  void join();

 private:
  struct Job {
    ConnectionId connection = 0;
    HttpRequest request;
    std::size_t bytes = 0;
  };
  struct Batch {
    std::vector<Job> jobs;
    std::vector<ConnectionId> gone;
    bool draining = false;
  };
  static constexpr std::size_t kMaxBytes = 32u << 20;  // queued
  static constexpr std::size_t kMaxBatch = 256;        // requests committed together: bounds what the first waits for

  void run() noexcept;
  bool work();
  Batch next_batch();
  bool has_space_for(const std::function<void()>& act);
  void serve(std::vector<Job>& jobs);
  bool obey_on_a_full_disk(Job& job);
  void handle(Job& job);
  void end_waits(const std::vector<ConnectionId>& connections);
  void tick();
  void commit();
  void answer_woken();
  void send_replies();

  Custodian custodian_;
  const std::function<std::int64_t()> now_ms_;
  const Deliver deliver_;
  const std::function<void()> ended_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;  // these four behind the mutex
  std::vector<ConnectionId> gone_;
  std::size_t queued_bytes_ = 0;
  bool draining_ = false;

  Waits waits_;                   // the thread's own, like what follows
  std::set<ConnectionId> woken_;  // long polls that were answered before the commit of this batch
  std::vector<Reply> replies_;
  Waits::Clock::time_point next_tick_{};
  bool touched_ = false;  // something was handled since the last commit
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace casevault
