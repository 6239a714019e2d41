#include "vault/custody/share_pile.h"

#include "vault/custody/choices.h"

namespace casevault {
void SharePile::add(ScalarShare share) {
  if (secret_) return;
  shares_.push_back(std::move(share));
  find_choice_with_last(shares_.size(), threshold_, [&](const auto& chosen) { return try_with(chosen); });
}

bool SharePile::try_with(const std::vector<bool>& is_chosen) {
  std::vector<ScalarShare> chosen;
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    if (is_chosen[i]) chosen.push_back({shares_[i].index, shares_[i].value.clone()});
  }
  auto secret = interpolate(chosen);
  if (commitment_ && !commits_to(*commitment_, secret)) return false;
  secret_ = std::move(secret);
  chosen_ = std::move(chosen);
  return true;
}

}  // namespace casevault
