#include "vault/custody/waits.h"

namespace casevault {

void Waits::add(ConnectionId connection, const OrderWait& wait, Clock::time_point now) {
  remove(connection);
  const Clock::time_point end = now + kLongest;
  waits_.emplace(connection, Parked{wait, end});
  by_vault_[wait.vault].insert(connection);
  by_end_.emplace(end, connection);
}

std::optional<OrderWait> Waits::remove(ConnectionId connection) {
  const auto found = waits_.find(connection);
  if (found == waits_.end()) return std::nullopt;
  const Parked parked = found->second;
  waits_.erase(found);
  by_end_.erase({parked.end, connection});
  const auto same_vault = by_vault_.find(parked.wait.vault);
  same_vault->second.erase(connection);
  if (same_vault->second.empty()) by_vault_.erase(same_vault);
  return parked.wait;
}

std::vector<ConnectionId> Waits::of_vault(const ByteArray<16>& vault) const {
  const auto found = by_vault_.find(vault);
  if (found == by_vault_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<ConnectionId> Waits::over(Clock::time_point now) const {
  std::vector<ConnectionId> ended;
  for (const auto& [end, connection] : by_end_) {
    if (end > now) break;
    ended.push_back(connection);
  }
  return ended;
}

std::vector<ConnectionId> Waits::all() const {
  std::vector<ConnectionId> connections;
  connections.reserve(waits_.size());
  for (const auto& [connection, parked] : waits_) connections.push_back(connection);
  return connections;
}

std::optional<Waits::Clock::time_point> Waits::next_end() const {
  if (by_end_.empty()) return std::nullopt;
  return by_end_.begin()->first;
}

}  // namespace casevault
