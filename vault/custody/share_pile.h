#pragma once
#include <optional>
#include <vector>

#include "crypto/shamir.h"

namespace casevault {

/// Shares of one secret as they come in from custodians, until the secret is found. Without a commitment the first ones
/// are believed; with one, shares that do not belong to it are passed over, as long as enough others do.
class SharePile {
 public:
  SharePile(std::size_t threshold, std::optional<Element> commitment)
      : threshold_(threshold), commitment_(commitment) {}
  void add(ScalarShare share);
  bool is_found() const { return secret_.has_value(); }
  /// @pre is_found()
  Scalar take() { return std::move(*secret_); }
  /// What custodian `index` would hold, by the shares that gave the secret. @pre is_found()
  Scalar share_of(std::uint32_t index) const { return share_at(chosen_, index); }

 private:
  bool try_with(const std::vector<bool>& chosen);

  std::size_t threshold_;
  std::optional<Element> commitment_;
  std::vector<ScalarShare> shares_;
  std::vector<ScalarShare> chosen_;  // those that gave the secret
  std::optional<Scalar> secret_;
};

}  // namespace casevault
