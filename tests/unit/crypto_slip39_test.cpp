#include "crypto/slip39.h"

#include <set>

#include "crypto/error.h"
#include "crypto/slip39_words.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using Words = std::vector<std::string>;

SecretBytes secret(std::string_view text) { return SecretBytes::copy_of(as_bytes(text)); }
std::string text_of(const SecretBytes& bytes) { return std::string(as_text(bytes.expose_secret())); }
RecoverySeed seed_of(std::uint8_t fill) {
  auto seed = RecoverySeed::zero();
  for (auto& byte : seed.expose_secret_for_writing()) byte = std::byte{fill};
  return seed;
}

Words words_of(const Slip39Share& share) {
  std::istringstream in(text_of(share.words()));
  return {std::istream_iterator<std::string>(in), {}};
}
std::string joined(const Words& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}
Slip39Share parse(const std::string& text) { return Slip39Share::parse(secret(text)); }
Slip39Share copy_of(const Slip39Share& share) { return Slip39Share::parse(share.words()); }

std::vector<Slip39Share> chosen(const std::vector<Slip39Share>& shares, unsigned mask) {
  std::vector<Slip39Share> out;
  for (unsigned i = 0; i < shares.size(); ++i) {
    if ((mask >> i & 1) != 0) out.push_back(copy_of(shares[i]));
  }
  return out;
}

template <typename Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}
template <typename Action>
Errc code_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return Errc{};
}

// The published vectors.

nlohmann::json vectors() {
  const auto path = test::vector_path("slip39/vectors.json");
  return std::filesystem::exists(path) ? test::read_json(path) : nlohmann::json::array({nullptr});
}

class Slip39Vector : public testing::TestWithParam<nlohmann::json> {};
INSTANTIATE_TEST_SUITE_P(All, Slip39Vector, testing::ValuesIn(vectors().get<std::vector<nlohmann::json>>()),
                         [](const auto& info) {
                           if (info.param.is_null()) return std::string("vectors_absent");
                           auto name = info.param[0].template get<std::string>();
                           std::ranges::replace_if(
                               name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                           return "v" + name;
                         });

TEST_P(Slip39Vector, GivesTheSecretOrIsRefused) {
  CASEVAULT_NEEDS_VECTORS(test::vector_path("slip39/vectors.json"));
  const auto combine = [&] {
    std::vector<Slip39Share> shares;
    for (const auto& mnemonic : GetParam()[1]) shares.push_back(parse(mnemonic.get<std::string>()));
    return to_hex(slip39_combine(shares, secret("TREZOR")).expose_secret());
  };
  const auto expected = GetParam()[2].get<std::string>();
  if (expected.empty()) {
    EXPECT_THROW(combine(), Error);
  } else {
    EXPECT_EQ(combine(), expected);
    for (const auto& mnemonic : GetParam()[1])
      EXPECT_EQ(text_of(parse(mnemonic.get<std::string>()).words()), mnemonic.get<std::string>());
  }
}

TEST(Slip39Words, AreThePublishedList) {
  EXPECT_TRUE(std::ranges::is_sorted(kSlip39Words));
  std::set<std::string_view> beginnings;
  for (const auto word : kSlip39Words) beginnings.insert(word.substr(0, 4));
  EXPECT_EQ(beginnings.size(), kSlip39WordCount);
}

// What we make.

TEST(Slip39Split, EveryThreeOfFiveGiveTheSecretAndNoTwoDo) {
  const auto seed = seed_of(7);
  const auto shares = slip39_split(seed, 0x1234, 3, 5);
  for (unsigned mask = 1; mask < 32; ++mask) {
    const auto some = chosen(shares, mask);
    if (some.size() < 3) {
      EXPECT_EQ(slip39_missing(some)->shares, 3 - some.size());
      EXPECT_EQ(refusal([&] { slip39_combine(some, {}); }),
                std::to_string(3 - some.size()) + " more shares are needed");
    } else {
      EXPECT_EQ(to_hex(slip39_combine(some, {}).expose_secret()), to_hex(seed.expose_secret()));
    }
  }
}

TEST(Slip39Split, ASharesHas33WordsAndTheSetsName) {
  const auto shares = slip39_split(seed_of(1), 0x7FFF, 2, 16);
  ASSERT_EQ(shares.size(), 16);
  for (unsigned i = 0; i < 16; ++i) {
    const auto words = words_of(shares[i]);
    EXPECT_EQ(words.size(), kSlip39Words256);
    EXPECT_EQ(words[0] + " " + words[1], slip39_set_name(0x7FFF));
    EXPECT_EQ(shares[i].member_index, i);
  }
}

TEST(Slip39Split, IsRandom) {
  const auto seed = seed_of(2);
  EXPECT_NE(text_of(slip39_split(seed, 5, 2, 2)[0].words()), text_of(slip39_split(seed, 5, 2, 2)[0].words()));
}

TEST(Slip39Split, RefusesNumbersOutOfRange) {
  const auto seed = seed_of(3);
  for (const auto& [threshold, count] : {std::pair{1U, 3U}, {4U, 3U}, {0U, 0U}, {2U, 17U}})
    EXPECT_EQ(code_of([&] { slip39_split(seed, 1, threshold, count); }), Errc::kInternal);
}

// What people type.

class Slip39Typing : public testing::Test {
 protected:
  const Words words_ = words_of(slip39_split(seed_of(9), 77, 3, 5)[2]);
};

TEST_F(Slip39Typing, CapitalsNumbersAndLinesDoNotMatter) {
  std::string text;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    auto word = words_[i];
    word[0] = static_cast<char>(std::toupper(word[0]));
    text += "\r\n" + std::to_string(i + 1) + ". " + word + ",";
  }
  EXPECT_EQ(text_of(parse(text).words()), joined(words_));
}

TEST_F(Slip39Typing, AnyOneWrongWordIsPointedAt) {
  for (std::size_t place = 0; place < words_.size(); ++place) {
    auto typed = words_;
    typed[place] = typed[place] == "academic" ? "acid" : "academic";
    const auto why = refusal([&] { parse(joined(typed)); });
    EXPECT_EQ(why, "the checksum is wrong: compare word " + std::to_string(place + 1) + " with the paper");
  }
}

TEST_F(Slip39Typing, SwappedNeighboursArePointedAt) {
  for (std::size_t place = 0; place + 1 < words_.size(); ++place) {
    auto typed = words_;
    std::swap(typed[place], typed[place + 1]);
    if (typed == words_) continue;
    EXPECT_EQ(refusal([&] { parse(joined(typed)); }), "the checksum is wrong: words " + std::to_string(place + 1) +
                                                          " and " + std::to_string(place + 2) +
                                                          " seem to have changed places");
  }
}

TEST_F(Slip39Typing, TwoWrongWordsAreNoticed) {
  auto typed = words_;
  typed[4] = typed[4] == "zero" ? "yoga" : "zero";
  typed[20] = typed[20] == "zero" ? "yoga" : "zero";
  EXPECT_EQ(refusal([&] { parse(joined(typed)); }),
            "the checksum is wrong: two words or more are not as they were written; compare all with the paper");
}

struct TypingRow {
  const char* name;
  std::size_t place;  // from 1; 0: behind the last
  std::string typed;
  std::string why;
};
class Slip39Typed : public Slip39Typing, public testing::WithParamInterface<TypingRow> {};
INSTANTIATE_TEST_SUITE_P(
    All, Slip39Typed,
    testing::Values(
        TypingRow{"OneLetterMissing", 8, "acadmic", "word 8 is not in the list of words; near it are: academic"},
        TypingRow{"FourLettersRight", 33, "acadiaaa", "word 33 is not in the list of words; near it are: academic"},
        TypingRow{"TwoNear", 1, "axix", "word 1 is not in the list of words; near it are: axis"},
        TypingRow{"NothingNear", 5, "qqqqqqqq", "word 5 is not in the list of words"},
        TypingRow{"TooLong", 5, "academically", "word 5 is not in the list of words; near it are: academic"},
        TypingRow{"NoWord", 2, "&", "word 2 is not in the list of words"},
        TypingRow{"Cyrillic", 2, "слово", "word 2 is not in the list of words"},
        TypingRow{"OneMore", 0, "academic", "it has 34 words; a trustee's share has 33"}),
    [](const auto& info) { return info.param.name; });

TEST_P(Slip39Typed, SaysWhatIsWrong) {
  auto typed = words_;
  if (GetParam().place == 0) {
    typed.push_back(GetParam().typed);
  } else {
    typed[GetParam().place - 1] = GetParam().typed;
  }
  EXPECT_EQ(refusal([&] { parse(joined(typed)); }), GetParam().why);
  EXPECT_EQ(code_of([&] { parse(joined(typed)); }), Errc::kDamaged);
}

TEST_F(Slip39Typing, WordsLeftOutAreSaidByNumber) {
  for (std::size_t count = 0; count < words_.size(); ++count) {
    const auto why = refusal([&] { parse(joined({words_.begin(), words_.begin() + static_cast<long>(count)})); });
    EXPECT_NE(why.find(std::to_string(count) + " words"), std::string::npos) << why;
  }
}

TEST(Slip39Sets, AreToldApart) {
  auto shares = chosen(slip39_split(seed_of(1), 100, 3, 5), 0b11);
  shares.push_back(copy_of(slip39_split(seed_of(1), 101, 3, 5)[2]));
  const auto why = refusal([&] { slip39_missing(shares); });
  EXPECT_EQ(why, "these shares are of different sets: " + slip39_set_name(100) + " and " + slip39_set_name(101));
  EXPECT_EQ(code_of([&] { slip39_combine(shares, {}); }), Errc::kUsage);
}

TEST(Slip39Sets, OneNameIsNotEnough) {
  auto shares = chosen(slip39_split(seed_of(1), 100, 3, 5), 0b11);
  shares.push_back(copy_of(slip39_split(seed_of(1), 100, 2, 5)[2]));
  EXPECT_NE(refusal([&] { slip39_missing(shares); }).find("differ in what a set has in common"), std::string::npos);
}

TEST(Slip39Sets, DuplicatesAreNamed) {
  auto shares = chosen(slip39_split(seed_of(1), 100, 3, 5), 0b110);
  shares.push_back(copy_of(shares[0]));
  EXPECT_EQ(refusal([&] { slip39_missing(shares); }), "share 2 is there twice");
}

TEST(Slip39Sets, OfOneNumberButAnotherDealShowInTheDigest) {
  auto shares = chosen(slip39_split(seed_of(1), 100, 2, 3), 0b1);
  shares.push_back(copy_of(slip39_split(seed_of(2), 100, 2, 3)[1]));
  EXPECT_EQ(code_of([&] { slip39_combine(shares, {}); }), Errc::kDamaged);
}

TEST(Slip39Sets, ASurplusShareIsCheckedToo) {
  auto shares = chosen(slip39_split(seed_of(1), 100, 2, 3), 0b11);
  shares.push_back(copy_of(slip39_split(seed_of(2), 100, 2, 3)[2]));
  EXPECT_EQ(code_of([&] { slip39_combine(shares, {}); }), Errc::kDamaged);
}

TEST(Slip39Sets, AForgedShareIsNamedWhereverItStands) {
  for (std::size_t forged = 0; forged < 5; ++forged) {
    auto shares = slip39_split(seed_of(1), 100, 3, 5);
    shares[forged].value.expose_secret_for_writing()[7] ^= std::byte{1};
    EXPECT_EQ(refusal([&] { slip39_combine(shares, {}); }), "share " + std::to_string(forged + 1) +
                                                                " does not belong to the others, though it says so: "
                                                                "it was forged; leave it out");
  }
}

}  // namespace
}  // namespace casevault
