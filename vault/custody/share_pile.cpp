#include "vault/custody/share_pile.h"

#include <algorithm>

namespace casevault {
namespace {

constexpr int kMaxTries = 10'000;  // for one share; about a second. 20 choose 4 is less

}  // namespace

void SharePile::add(ScalarShare share) {
  if (secret_) return;
  shares_.push_back(std::move(share));
  if (shares_.size() >= threshold_) try_newest();
}

void SharePile::try_newest() {
  std::vector<bool> others(shares_.size() - 1, false);
  std::fill_n(others.begin(), threshold_ - 1, true);
  for (int tries = 0; tries < kMaxTries; ++tries) {
    if (try_with(others) || !std::prev_permutation(others.begin(), others.end())) return;
  }
}

bool SharePile::try_with(const std::vector<bool>& others) {
  std::vector<ScalarShare> chosen;
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    if (i + 1 == shares_.size() || others[i]) chosen.push_back({shares_[i].index, shares_[i].value.clone()});
  }
  auto secret = interpolate(chosen);
  if (commitment_ && !commits_to(*commitment_, secret)) return false;
  secret_ = std::move(secret);
  return true;
}

}  // namespace casevault
