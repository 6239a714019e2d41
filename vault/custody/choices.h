#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

namespace casevault {

/// Tells for each of some things whether it is chosen, and is told whether that was the right choice.
using TryChoice = std::function<bool(const std::vector<bool>& chosen)>;

/// Tries every choice of `size` out of `count`, the first ones first, until one is right or a bound is reached.
inline bool find_choice(std::size_t count, std::size_t size, const TryChoice& is_right) {
  constexpr int kMaxTries = 10'000;  // 20 choose 4 is less
  if (count < size) return false;
  std::vector<bool> chosen(count, false);
  std::fill_n(chosen.begin(), size, true);
  for (int tries = 0; tries < kMaxTries; ++tries) {
    if (is_right(chosen)) return true;
    if (!std::prev_permutation(chosen.begin(), chosen.end())) return false;
  }
  return false;
}

/// The same for the choices that have the last one among them, which came just now. @pre 1 <= size
inline bool find_choice_with_last(std::size_t count, std::size_t size, const TryChoice& is_right) {
  if (count < size) return false;
  return find_choice(count - 1, size - 1, [&](std::vector<bool> chosen) {
    chosen.push_back(true);
    return is_right(chosen);
  });
}

}  // namespace casevault
