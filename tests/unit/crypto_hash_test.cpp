#include "crypto/hash.h"

#include <thread>

#include "tests/support/vectors.h"

namespace casevault {
namespace {

// FIPS 180-4 examples and the empty message.
struct Sha256Case {
  std::string name;
  std::string message;
  std::string digest;
};
const Sha256Case kSha256Cases[] = {
    {"empty", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"two_blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"million_a", std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

class Sha256Known : public testing::TestWithParam<Sha256Case> {};
TEST_P(Sha256Known, Matches) { EXPECT_EQ(to_hex(sha256(as_bytes(GetParam().message))), GetParam().digest); }
TEST_P(Sha256Known, MatchesInPieces) {
  Sha256 hasher;
  std::string_view rest = GetParam().message;
  for (std::size_t size = 1; !rest.empty(); size = size * 3 + 1) {
    hasher.update(as_bytes(rest.substr(0, size)));
    rest.remove_prefix(std::min(size, rest.size()));
  }
  EXPECT_EQ(to_hex(hasher.finish()), GetParam().digest);
}
INSTANTIATE_TEST_SUITE_P(Fips180, Sha256Known, testing::ValuesIn(kSha256Cases),
                         [](const auto& info) { return info.param.name; });

TEST(Sha256, StartsAnewAfterFinish) {
  Sha256 hasher;
  hasher.update(as_bytes("something else"));
  hasher.finish();
  hasher.update(as_bytes("abc"));
  EXPECT_EQ(hasher.finish(), sha256(as_bytes("abc")));
  EXPECT_EQ(hasher.finish(), sha256(ByteView()));
}

TEST(Sha256, PiecesAreTheirConcatenation) {
  EXPECT_EQ(sha256({as_bytes("a"), {}, as_bytes("bc")}), sha256(as_bytes("abc")));
}

TEST(Sha256, MovesWithItsState) {
  Sha256 first;
  first.update(as_bytes("ab"));
  Sha256 second = std::move(first);
  second.update(as_bytes("c"));
  EXPECT_EQ(second.finish(), sha256(as_bytes("abc")));
}

TEST(Sha256, ThreadsDoNotMix) {
  const auto expected = sha256(as_bytes("abc"));
  int wrong[2] = {0, 0};
  {
    std::jthread one([&] {
      for (int i = 0; i < 20000; ++i) wrong[0] += sha256(as_bytes("abc")) != expected;
    });
    std::jthread two([&] {
      for (int i = 0; i < 20000; ++i) wrong[1] += sha256(as_bytes("abc")) != expected;
    });
  }
  EXPECT_EQ(wrong[0] + wrong[1], 0);
}

TEST(Blake2b, MatchesHashlib) {
  // Python: hashlib.blake2b(b"abc", digest_size=n).hexdigest()
  EXPECT_EQ(to_hex(blake2b_256({as_bytes("abc")})), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  EXPECT_EQ(to_hex(blake2b_128({as_bytes("a"), as_bytes("bc")})), "cf4ab791c62b8d2b2109c90275287816");
}

}  // namespace
}  // namespace casevault
