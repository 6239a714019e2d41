#include "crypto/random.h"

#include <gtest/gtest.h>

#include <set>

namespace casevault {
namespace {

// For every unit test of the program, as `main` does it.
class InitCrypto : public testing::Environment {
  void SetUp() override { init_crypto(); }
};
[[maybe_unused]] const auto* const kInit = testing::AddGlobalTestEnvironment(new InitCrypto);

TEST(Random, MayBeInitialisedAgain) { EXPECT_NO_THROW(init_crypto()); }

TEST(Random, FillsTheWholeSpanAndNothingElse) {
  // A byte stays zero in all of 40 rounds with a chance of 2^-320.
  ByteArray<66> seen{};
  for (int round = 0; round < 40; ++round) {
    ByteArray<66> out{};
    fill_random(std::span(out).subspan(1, 64));
    for (std::size_t i = 0; i < out.size(); ++i) seen[i] |= out[i];
  }
  EXPECT_EQ(seen.front(), std::byte{0});
  EXPECT_EQ(seen.back(), std::byte{0});
  for (std::size_t i = 1; i <= 64; ++i) EXPECT_NE(seen[i], std::byte{0}) << i;
}

TEST(Random, DoesNotRepeat) {
  std::set<ByteArray<16>> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(random_array<16>()).second);
}

TEST(Random, AcceptsAnEmptySpan) { EXPECT_NO_THROW(fill_random({})); }

}  // namespace
}  // namespace casevault
