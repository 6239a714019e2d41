#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "vault/custody/custodian.h"

namespace casevault {

/// A connection of the service, for as long as the process runs.
using ConnectionId = std::uint64_t;

/// The long polls that are parked, by connection, by vault and by when they end. One a connection.
class Waits {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kLongest{50};

  void add(ConnectionId connection, const OrderWait& wait, Clock::time_point now);
  /// nullopt when this connection has none.
  std::optional<OrderWait> remove(ConnectionId connection);
  const OrderWait& at(ConnectionId connection) const { return waits_.at(connection).wait; }
  std::vector<ConnectionId> of_vault(const ByteArray<16>& vault) const;
  /// Those whose time is over at `now`, in no order.
  std::vector<ConnectionId> over(Clock::time_point now) const;
  std::vector<ConnectionId> all() const;
  /// When the first of them ends; nullopt when there is none.
  std::optional<Clock::time_point> next_end() const;

 private:
  struct Parked {
    OrderWait wait;
    Clock::time_point end;
  };
  std::unordered_map<ConnectionId, Parked> waits_;
  std::map<ByteArray<16>, std::set<ConnectionId>> by_vault_;
  std::set<std::pair<Clock::time_point, ConnectionId>> by_end_;
};

}  // namespace casevault
