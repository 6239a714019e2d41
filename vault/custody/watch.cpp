#include "vault/custody/watch.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "vault/custody/client.h"
#include "vault/custody/device.h"
#include "vault/custody/hearsay.h"
#include "vault/vault.h"

namespace casevault {
namespace {

constexpr int kLookEveryMs = 5'000;  // at vault.json
constexpr std::chrono::seconds kFirstPause{1};
constexpr std::chrono::seconds kLongestPause{30};
constexpr std::size_t kMaxLine = 65'536;           // bytes
constexpr std::int64_t kClockSlackMs = 3'600'000;  // that an order counts as in force after its time

/// What all the threads share: the pipe to the guard, and which orders it was told of.
class Demands {
 public:
  explicit Demands(int descriptor) : descriptor_(descriptor) {}
  void lock() { say("lock\n"); }
  /// Once for each order: a custodian that repeats an old one does not keep the vault locked.
  void lock(const Sha256Digest& order) { say_once("lock\n", order); }
  /// The same, and more may come of it.
  void lock_and_wait(const Sha256Digest& order) { say_once("lock " + to_hex(order) + "\n", order); }
  void destroy(const Sha256Digest& order) {
    const std::lock_guard hold(mutex_);
    if (!told_.insert(order).second) return;
    write_line("destroy " + to_hex(order) + "\n");
  }

 private:
  void say_once(const std::string& line, const Sha256Digest& order) {
    const std::lock_guard hold(mutex_);
    if (locked_.insert(order).second) write_line(line);
  }
  void say(const std::string& line) {
    const std::lock_guard hold(mutex_);
    write_line(line);
  }
  /// Shorter than a pipe writes at once. Where nobody reads any more, the guard has ended, and this process follows it.
  void write_line(const std::string& line) const {
    const auto written = ::write(descriptor_, line.data(), line.size());
    if (written < 0) ::_exit(0);
  }
  int descriptor_;
  std::mutex mutex_;
  std::set<Sha256Digest> told_;
  std::set<Sha256Digest> locked_;
};

bool is_signed_well(const SignedOrder& order, const CustodyPlan& plan, std::size_t needed) {
  std::set<ByteArray<32>> cards;
  for (const auto& signature : order.signatures) {
    const bool known = std::ranges::find(plan.cards, signature.card) != plan.cards.end();
    if (known && verify(signature.card, kOrderDomain, as_bytes(order.statement), signature.signature))
      cards.insert(signature.card.bytes);
  }
  return cards.size() >= needed;
}

/// What all the ears have in common.
struct Watch {
  const VaultId& vault;
  const CustodyPlan& plan;
  const CustodyId device;
  const Environment& environment;
  Hearsay& hearsay;
  Demands& demands;
};

/// One custodian's orders, in their order.
class Ear {
 public:
  Ear(const Watch& watch, std::size_t custodian, CustodyClient client)
      : watch_(watch), custodian_(custodian), client_(std::move(client)) {}

  [[noreturn]] void listen() {
    auto pause = kFirstPause;
    while (true) {
      try {
        obey(client_.wait_for_orders(custodian_, after_));
        pause = kFirstPause;
      } catch (const Error& error) {
        if (error.code() == Errc::kCustodiansRefused || error.code() == Errc::kDestroyed) refused();
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, kLongestPause);
      }
    }
  }

 private:
  void obey(const OrderNews& news) {
    const bool is_first = after_ == 0;
    std::optional<Sha256Digest> locking;
    for (const auto& done : news.orders) {
      after_ = std::max(after_, done.number);
      const auto order = Order::parse(done.order.statement);
      const auto hash = sha256(as_bytes(done.order.statement));
      const auto needed = order.type == OrderType::kLock ? 1 : watch_.plan.quorum;
      if (order.vault != watch_.vault || !is_signed_well(done.order, watch_.plan, needed)) continue;
      const bool is_whole = !order.scope.kind;
      if (order.type == OrderType::kBurn && order.scope.id == watch_.device) watch_.demands.lock(hash);
      if (order.type == OrderType::kDestroy && is_whole) {
        destroy_or_lock(order, hash);
      } else if (order.type != OrderType::kUnlock) {
        locking = hash;
      } else if (is_whole) {
        locking.reset();
      }
    }
    // What is long over must not lock a guard that begins today.
    if (locking && (!is_first || news.state != "active")) watch_.demands.lock(*locking);
    news.state == "active" ? watch_.hearsay.open_there(custodian_) : refused();
  }

  void destroy_or_lock(const Order& order, const Sha256Digest& hash) {
    const bool in_force = order.is_in_force(watch_.environment.now_ms() - kClockSlackMs);
    const auto verdict = watch_.hearsay.destroyed_there(custodian_, hash, in_force);
    verdict == Hearsay::Verdict::kDestroy ? watch_.demands.destroy(hash) : watch_.demands.lock_and_wait(hash);
  }

  /// This machine was burned, or the vault locked: so it says.
  void refused() {
    if (watch_.hearsay.refused_there(custodian_) == Hearsay::Verdict::kLock) watch_.demands.lock();
  }

  Watch watch_;
  std::size_t custodian_;
  CustodyClient client_;
  std::uint64_t after_ = 0;
};

std::optional<CustodyPlan> plan_of(const Path& folder, const Environment& environment) {
  try {
    const auto header = Vault::open(folder, environment).header();
    return header.custody.empty() ? std::nullopt : std::optional(header.custody.back());
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool opens_again(const Path& folder, const Environment& environment) {
  try {
    Vault::open(folder, environment);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::vector<std::string> texts_of(const nlohmann::json& object, const char* key) {
  std::vector<std::string> texts;
  for (const auto& item : object.at(key)) texts.push_back(item.get<std::string>());
  return texts;
}

/// The guard's own words on how far it has come, on to the custodians.
class Receipts {
 public:
  explicit Receipts(CustodyClient client) : client_(std::move(client)) {}

  void pass_on(const std::string& line) {
    try {
      const auto receipt = nlohmann::json::parse(line);
      const auto order = array_from_hex<32>(receipt.at("order").get<std::string>());
      if (!order) return;  // `panic` on this machine: no order
      if (receipt.contains("not_reached")) not_reached_ = texts_of(receipt, "not_reached");
      if (receipt.contains("cannot_promise"))
        for (auto& text : texts_of(receipt, "cannot_promise")) not_reached_.push_back(std::move(text));
      const auto stage = parse_guard_stage(receipt.at("stage").get<std::string>());
      if (stage) client_.send_receipt(*order, *stage, not_reached_);
    } catch (const std::exception&) {
      // A custodian that was not reached shows the order as not confirmed, which is what it is.
    }
  }

 private:
  CustodyClient client_;
  std::vector<std::string> not_reached_;  // so far
};

/// Lines from the guard until `look` says that it is enough, or the guard has ended.
void read_lines(int descriptor, const std::function<void(const std::string&)>& take,
                const std::function<bool()>& is_over) {
  std::string unread;
  std::array<char, 4096> block{};
  while (true) {
    pollfd wait{descriptor, POLLIN, 0};
    const int ready = ::poll(&wait, 1, kLookEveryMs);
    if (ready == 0 && is_over()) return;
    if (ready <= 0) continue;
    const auto size = ::read(descriptor, block.data(), block.size());
    if (size <= 0) return;
    unread.append(block.data(), static_cast<std::size_t>(size));
    for (auto end = unread.find('\n'); end != std::string::npos; end = unread.find('\n')) {
      take(unread.substr(0, end));
      unread.erase(0, end + 1);
    }
    if (unread.size() > kMaxLine) unread.clear();
  }
}

}  // namespace

int watch_custodians(const Path& folder, const Environment& environment, int demands, int receipts) {
  const auto plan = plan_of(folder, environment);
  const auto changed = [&] { return plan_of(folder, environment) != plan && opens_again(folder, environment); };
  const auto vault = plan ? Vault::open(folder, environment).header().vault_id : VaultId{};
  const auto device = plan ? load_device(environment, vault) : std::nullopt;
  if (!device) {
    read_lines(
        receipts, [](const std::string&) {}, changed);
    return 0;
  }
  const auto connect = [&] { return CustodyClient(vault, *plan, *load_device(environment, vault), environment); };
  Demands to_guard(demands);
  Hearsay hearsay(plan->custodians.size(), plan->threshold);
  const auto device_id = custody_id(plan->salt, ScopeKind::kDevice, device->name);
  const Watch watch{vault, *plan, device_id, environment, hearsay, to_guard};
  for (std::size_t custodian = 0; custodian < plan->custodians.size(); ++custodian) {
    std::thread([&, custodian] { Ear(watch, custodian, connect()).listen(); }).detach();
  }
  Receipts on(connect());
  read_lines(
      receipts, [&](const std::string& line) { on.pass_on(line); }, changed);
  ::_exit(0);  // with the threads, which wait in the middle of something
}

}  // namespace casevault
