#include <gtest/gtest.h>

#include "vault/custody/hearsay.h"

namespace casevault::test {
namespace {

using Verdict = Hearsay::Verdict;

constexpr Sha256Digest kOrder{std::byte{1}};
constexpr Sha256Digest kOther{std::byte{2}};

TEST(Hearsay, AnOrderInForceDestroysOnOneWord) {
  Hearsay hearsay(3, 2);
  EXPECT_EQ(hearsay.destroyed_there(1, kOrder, true), Verdict::kDestroy);
}

TEST(Hearsay, AnExpiredOrderLocksUntilAThresholdSaysSo) {
  Hearsay hearsay(5, 3);
  EXPECT_EQ(hearsay.destroyed_there(1, kOrder, false), Verdict::kLock);
  EXPECT_EQ(hearsay.destroyed_there(1, kOrder, false), Verdict::kLock) << "the same one again";
  EXPECT_EQ(hearsay.destroyed_there(2, kOther, false), Verdict::kLock) << "another order";
  EXPECT_EQ(hearsay.destroyed_there(4, kOrder, false), Verdict::kLock);
  EXPECT_EQ(hearsay.destroyed_there(0, kOrder, false), Verdict::kDestroy);
}

TEST(Hearsay, RefusalsLockOnceTheOthersAreTooFew) {
  struct Row {
    std::size_t custodians, threshold, needed;
  };
  for (const auto& row : {Row{3, 2, 2}, Row{5, 3, 3}, Row{5, 2, 4}, Row{3, 3, 1}, Row{1, 1, 1}, Row{3, 1, 3}}) {
    Hearsay hearsay(row.custodians, row.threshold);
    for (std::size_t i = 0; i < row.custodians; ++i) {
      const auto expected = i + 1 >= row.needed ? Verdict::kLock : Verdict::kNothing;
      EXPECT_EQ(hearsay.refused_there(i), expected) << i << " of " << row.custodians << ", " << row.threshold;
    }
  }
}

TEST(Hearsay, ACustodianCountsOnceAndMayComeBack) {
  Hearsay hearsay(3, 2);
  EXPECT_EQ(hearsay.refused_there(0), Verdict::kNothing);
  EXPECT_EQ(hearsay.refused_there(0), Verdict::kNothing);
  hearsay.open_there(0);
  EXPECT_EQ(hearsay.refused_there(2), Verdict::kNothing);
  EXPECT_EQ(hearsay.refused_there(1), Verdict::kLock);
}

}  // namespace
}  // namespace casevault::test
