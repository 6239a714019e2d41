#include "vault/custody/hearsay.h"

namespace casevault {

Hearsay::Verdict Hearsay::destroyed_there(std::size_t custodian, const Sha256Digest& order, bool is_in_force) {
  const std::lock_guard hold(mutex_);
  auto& places = done_at_[order];
  places.insert(custodian);
  return is_in_force || places.size() >= threshold_ ? Verdict::kDestroy : Verdict::kLock;
}

Hearsay::Verdict Hearsay::refused_there(std::size_t custodian) {
  const std::lock_guard hold(mutex_);
  refused_by_.insert(custodian);
  return custodians_ - refused_by_.size() < threshold_ ? Verdict::kLock : Verdict::kNothing;
}

void Hearsay::open_there(std::size_t custodian) {
  const std::lock_guard hold(mutex_);
  refused_by_.erase(custodian);
}

}  // namespace casevault
