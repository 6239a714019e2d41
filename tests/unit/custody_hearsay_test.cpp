#include <gtest/gtest.h>

#include "vault/custody/hearsay.h"

namespace casevault::test {
namespace {

using Verdict = Hearsay::Verdict;

constexpr Sha256Digest kOrder{std::byte{1}};
constexpr Sha256Digest kOther{std::byte{2}};

TEST(Hearsay, AnOrderInForceDestroysOnOneWord) {
  Hearsay hearsay(2);
  EXPECT_EQ(hearsay.destroyed_there(1, kOrder, true), Verdict::kDestroy);
}

TEST(Hearsay, AnExpiredOrderLocksUntilAThresholdSaysSo) {
  Hearsay hearsay(3);
  EXPECT_EQ(hearsay.destroyed_there(1, kOrder, false), Verdict::kLock);
  EXPECT_EQ(hearsay.destroyed_there(1, kOrder, false), Verdict::kLock) << "the same one again";
  EXPECT_EQ(hearsay.destroyed_there(2, kOther, false), Verdict::kLock) << "another order";
  EXPECT_EQ(hearsay.destroyed_there(4, kOrder, false), Verdict::kLock);
  EXPECT_EQ(hearsay.destroyed_there(0, kOrder, false), Verdict::kDestroy);
}

}  // namespace
}  // namespace casevault::test
