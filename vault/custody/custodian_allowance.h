#pragma once
#include <algorithm>
#include <cstdint>

namespace casevault::custodian {

/// How much of something is let through: `burst` at once, and `per_hour` again each hour.
struct Allowance {
  double burst = 0;
  double per_hour = 0;
};

/// How much of an allowance was used. In memory only; `now` in Unix milliseconds. A clock that goes back gives nothing.
class Spent {
 public:
  bool is_all(const Allowance& allowance, std::int64_t now) const { return left(allowance, now) < 1; }
  void add(const Allowance& allowance, double amount, std::int64_t now) {
    used_ = used_now(allowance, now) + amount;
    at_ = now;
  }

 private:
  static constexpr double kHourMs = 3'600'000;
  double used_now(const Allowance& allowance, std::int64_t now) const {
    const auto elapsed = static_cast<double>(std::max<std::int64_t>(now - at_, 0));
    return std::max(0.0, used_ - elapsed / kHourMs * allowance.per_hour);
  }
  double left(const Allowance& allowance, std::int64_t now) const { return allowance.burst - used_now(allowance, now); }
  double used_ = 0;
  std::int64_t at_ = 0;
};

}  // namespace casevault::custodian
