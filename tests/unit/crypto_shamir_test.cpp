#include "crypto/shamir.h"

#include <bit>

#include "crypto/error.h"
#include "crypto/oprf.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex_array;

std::string to_hex(const Scalar& scalar) { return casevault::to_hex(scalar.expose_secret()); }

Scalar small(std::uint8_t value) {
  Bytes bytes(Scalar::kSize);
  bytes[0] = static_cast<std::byte>(value);
  return parse_scalar(bytes).value();
}

std::vector<ScalarShare> choose(const DealtScalar& dealt, std::uint32_t chosen) {
  std::vector<ScalarShare> shares;
  for (std::uint32_t i = 0; i < dealt.shares.size(); ++i) {
    if ((chosen >> i & 1) != 0) shares.push_back({i + 1, dealt.shares[i].clone()});
  }
  return shares;
}

std::vector<ElementShare> evaluate(std::span<const ScalarShare> shares, const Element& blinded) {
  std::vector<ElementShare> evaluated;
  for (const auto& share : shares) evaluated.push_back({share.index, oprf_evaluate(share.value, blinded)});
  return evaluated;
}

// Reason why it is refused; "" where it is not.
template <typename Action>
std::string refusal(Action action) {
  try {
    action();
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kDamaged);
    return error.what();
  }
}

// ---- Every set of shares.
struct Scheme {
  unsigned threshold, count;
};
class EveryChoice : public testing::TestWithParam<Scheme> {};

TEST_P(EveryChoice, GivesTheSecretFromTheThresholdOn) {
  const auto [threshold, count] = GetParam();
  const Scalar secret = random_scalar();
  const auto dealt = deal_scalar(secret, threshold, count);
  ASSERT_EQ(dealt.shares.size(), count);
  for (std::uint32_t chosen = 1; chosen < 1u << count; ++chosen) {
    const auto found = interpolate(choose(dealt, chosen));
    const bool enough = static_cast<unsigned>(std::popcount(chosen)) >= threshold;
    EXPECT_EQ(to_hex(found) == to_hex(secret), enough) << chosen;
    EXPECT_EQ(commits_to(dealt.commitment, found), enough) << chosen;
  }
}

TEST_P(EveryChoice, GivesEveryShareFromTheThresholdOn) {
  const auto [threshold, count] = GetParam();
  const auto dealt = deal_scalar(random_scalar(), threshold, count + 1);
  for (std::uint32_t chosen = 1; chosen < 1u << count; ++chosen) {
    if (static_cast<unsigned>(std::popcount(chosen)) < threshold) continue;
    for (std::uint32_t index = 1; index <= count + 1; ++index)
      EXPECT_EQ(to_hex(share_at(choose(dealt, chosen), index)), to_hex(dealt.shares[index - 1])) << chosen;
  }
}

// Custodians that hold a share each answer as one that held the key would, and no fewer of them do.
TEST_P(EveryChoice, AnswersAsOneKeyWould) {
  const auto [threshold, count] = GetParam();
  const Scalar key = random_scalar();
  const auto dealt = deal_scalar(key, threshold, count);
  const auto input = PassphraseKey::random();
  const auto blinded = oprf_blind(input);
  const Element whole = oprf_evaluate(key, blinded.element);
  const auto expected = casevault::to_hex(oprf_finalize(input, blinded.blind, whole).expose_secret());
  for (std::uint32_t chosen = 1; chosen < 1u << count; ++chosen) {
    const Element joined = interpolate_in_exponent(evaluate(choose(dealt, chosen), blinded.element));
    const bool enough = static_cast<unsigned>(std::popcount(chosen)) >= threshold;
    EXPECT_EQ(joined == whole, enough) << chosen;
    const auto output = casevault::to_hex(oprf_finalize(input, blinded.blind, joined).expose_secret());
    EXPECT_EQ(output == expected, enough) << chosen;
  }
}

INSTANTIATE_TEST_SUITE_P(Shamir, EveryChoice,
                         testing::Values(Scheme{1, 1}, Scheme{1, 3}, Scheme{2, 2}, Scheme{2, 3}, Scheme{3, 3},
                                         Scheme{2, 5}, Scheme{3, 5}, Scheme{5, 5}, Scheme{4, 7}),
                         [](const auto& info) {
                           return std::to_string(info.param.threshold) + "_of_" + std::to_string(info.param.count);
                         });

TEST(Shamir, TheExponentFollowsTheScalars) {
  const auto dealt = deal_scalar(random_scalar(), 3, 4);
  const auto shares = choose(dealt, 0b1101);
  const auto elements = evaluate(shares, generator_times(small(1)));
  EXPECT_EQ(interpolate_in_exponent(elements), generator_times(interpolate(shares)));
  EXPECT_EQ(interpolate_in_exponent(elements), dealt.commitment);
}

TEST(Shamir, AFalseShareAmongMoreThanTheThresholdShows) {
  const auto blinded = oprf_blind(PassphraseKey::random());
  const auto dealt = deal_scalar(random_scalar(), 3, 5);
  for (std::uint32_t chosen = 1; chosen < 32; ++chosen) {
    const auto shares = choose(dealt, chosen);
    EXPECT_TRUE(agree(shares, 3)) << chosen;
    EXPECT_TRUE(agree(evaluate(shares, blinded.element), 3)) << chosen;
  }
  for (std::size_t liar = 0; liar < 4; ++liar) {
    auto shares = choose(dealt, 0b10111);
    shares[liar].value = random_scalar();
    EXPECT_FALSE(agree(shares, 3)) << liar;
    EXPECT_FALSE(agree(evaluate(shares, blinded.element), 3)) << liar;
    shares.pop_back();
    EXPECT_TRUE(agree(shares, 3)) << "of three, nothing shows";
  }
  auto two_liars = choose(dealt, 0b11111);
  two_liars[0].value = random_scalar();
  two_liars[4].value = random_scalar();
  EXPECT_FALSE(agree(two_liars, 3));
}

TEST(Shamir, TheLargestScheme) {
  const Scalar secret = random_scalar();
  const auto dealt = deal_scalar(secret, 40, kMaxShares);
  std::vector<ScalarShare> last;
  for (std::uint32_t index = kMaxShares; last.size() < 40; --index) {
    last.push_back({index, dealt.shares[index - 1].clone()});
  }
  EXPECT_EQ(to_hex(interpolate(last)), to_hex(secret)) << "in any order";
}

// A polynomial of degree 3 whose values Python calculated, at the ends of the range of indices.
TEST(Shamir, KnownAnswer) {
  const std::pair<std::uint32_t, std::string_view> values[] = {
      {128, "adaf0e081b7ed5643a931e37851e91eb48a04272e54ad001c5df6fb27145b305"},
      {1, "bf793c6a0b8028f682cd024d63e3b7977d35fb764e66a1338a8d2bcea416d706"},
      {255, "1f6b098347875079d909ff847f90125307a12512180decb2cb44092805929100"},
      {2, "bd089d3ef204ca0e804d5cacd194bf6c3d1f79dcabda9835d9572fdf8a7d980d"},
  };
  std::vector<ScalarShare> shares;
  for (const auto& value : values) shares.push_back({value.first, Scalar::from_bytes(hex_array<32>(value.second))});
  EXPECT_EQ(to_hex(interpolate(shares)), "331807ca996e1d759355a16e7bcd11562b1c404f810feabcc68d3cf7ac59b904");
}

// Nothing is left of the secret in the shares but what the threshold says: two deals of one secret have nothing in
// common, and do not mix.
TEST(Shamir, EachDealIsAnew) {
  const Scalar secret = random_scalar();
  const auto first = deal_scalar(secret, 2, 3), second = deal_scalar(secret, 2, 3);
  EXPECT_EQ(first.commitment, second.commitment);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NE(to_hex(first.shares[i]), to_hex(second.shares[i]));
  std::vector<ScalarShare> mixed;
  mixed.push_back({1, first.shares[0].clone()});
  mixed.push_back({2, second.shares[1].clone()});
  EXPECT_FALSE(commits_to(first.commitment, interpolate(mixed)));
}

// The top coefficient too: with a threshold of 3, three shares do not lie on a line.
TEST(Shamir, TheTopCoefficientIsUsed) {
  const auto dealt = deal_scalar(random_scalar(), 3, 3);
  EXPECT_NE(to_hex(interpolate(choose(dealt, 0b011))), to_hex(interpolate(choose(dealt, 0b110))));
}

TEST(Shamir, WrongIndicesAreRefused) {
  const auto dealt = deal_scalar(random_scalar(), 2, 3);
  const auto reason = [&](const std::vector<std::uint32_t>& indices) {
    std::vector<ScalarShare> shares;
    std::vector<ElementShare> elements;
    for (const auto index : indices) {
      shares.push_back({index, dealt.shares[0].clone()});
      elements.push_back({index, dealt.commitment});
    }
    auto why = refusal([&] { (void)interpolate(shares); });
    EXPECT_EQ(refusal([&] { (void)interpolate_in_exponent(elements); }), why);
    return why;
  };
  EXPECT_EQ(reason({1, 255}), "");
  EXPECT_EQ(reason({}), "there is no share");
  EXPECT_EQ(reason({0, 1}), "a share has a wrong index");
  EXPECT_EQ(reason({1, 256}), "a share has a wrong index");
  EXPECT_EQ(reason({1, 0xFFFFFFFF}), "a share has a wrong index");
  EXPECT_EQ(reason({1, 2, 1}), "two shares have one index");
}

TEST(Shamir, ForgedElementsAreRefused) {
  const auto dealt = deal_scalar(random_scalar(), 1, 1);
  const auto reason = [](const std::vector<ElementShare>& shares) {
    return refusal([&] { (void)interpolate_in_exponent(shares); });
  };
  EXPECT_EQ(reason({{1, dealt.commitment}}), "");
  EXPECT_NE(reason({{1, dealt.commitment}, {2, Element{}}}), "") << "the identity";
  EXPECT_NE(reason({{1, dealt.commitment}, {2, {hex_array<32>(std::string(64, 'f'))}}}), "") << "no element";
  // The weights at 0 of the indices 1 and 2 are 2 and -1.
  const auto doubled = multiply(dealt.commitment, small(2));
  EXPECT_EQ(reason({{1, dealt.commitment}, {2, doubled}}), "the shares of an answer cancel each other out");
}

TEST(Shamir, WrongSchemesAreABug) {
  const Scalar secret = random_scalar();
  for (const auto& scheme : {Scheme{0, 0}, Scheme{0, 1}, Scheme{2, 1}, Scheme{1, kMaxShares + 1}}) {
    EXPECT_THROW((void)deal_scalar(secret, scheme.threshold, scheme.count), Error);
  }
  EXPECT_THROW((void)deal_scalar(Scalar::zero(), 1, 1), Error);
}

TEST(Shamir, CommitmentsAreOfOneScalar) {
  const Scalar secret = random_scalar();
  EXPECT_TRUE(commits_to(generator_times(secret), secret));
  EXPECT_FALSE(commits_to(generator_times(secret), random_scalar()));
  EXPECT_FALSE(commits_to(generator_times(secret), Scalar::zero()));
  EXPECT_FALSE(commits_to(Element{}, Scalar::zero()));
}

}  // namespace
}  // namespace casevault
