#include "crypto/chacha20_poly1305.h"

#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex;

// ChunkCipher's nonces occur in none of these, so the layer below it is tested. It takes nonces of 12 bytes and no
// associated data: of the 325 cases 45 have that shape; all of them are valid, so each is also tried with every bit of
// its tag changed.
TEST(Wycheproof, ChaCha20Poly1305) {
  const auto path = test::vector_path("wycheproof/chacha20_poly1305_test.json");
  CASEVAULT_NEEDS_VECTORS(path);
  int cases = 0, of_our_shape = 0;
  const auto vectors = test::read_json(path);
  for (const auto& group : vectors["testGroups"]) {
    for (const auto& c : group["tests"]) {
      SCOPED_TRACE(c["tcId"]);
      ++cases;
      const auto at = [&](const char* name) { return hex(c[name].get<std::string>()); };
      if (at("iv").size() != 12 || !at("aad").empty()) continue;
      ++of_our_shape;
      ASSERT_EQ(c["result"], "valid");
      const auto nonce = to_array<12>(at("iv"));
      const Bytes plain = at("msg"), sealed = concat({at("ct"), at("tag")});
      ChaCha20Poly1305 cipher(to_array<32>(at("key")));
      Bytes out(sealed.size()), back(plain.size());
      cipher.seal(nonce, plain, out);
      EXPECT_EQ(out, sealed);
      EXPECT_TRUE(cipher.open(nonce, sealed, back));
      EXPECT_EQ(back, plain);
      for (std::size_t bit = 0; bit < 8 * ChaCha20Poly1305::kTagSize; ++bit) {
        Bytes changed = sealed;
        changed[plain.size() + bit / 8] ^= std::byte{1} << (bit % 8);
        EXPECT_FALSE(cipher.open(nonce, changed, back));
        EXPECT_EQ(back, Bytes(plain.size())) << "not zeroed";
      }
      EXPECT_TRUE(cipher.open(nonce, sealed, back)) << "after failures";
    }
  }
  EXPECT_EQ(cases, 325);
  EXPECT_EQ(of_our_shape, 45);
}

TEST(ChaCha20Poly1305, WrongBufferSizesAreABug) {
  ChaCha20Poly1305 cipher(ByteArray<32>{});
  Bytes buffer(100);
  const auto out = std::span(buffer);
  EXPECT_THROW(cipher.seal({}, Bytes(10), out.first(25)), Error);
  EXPECT_THROW(cipher.seal({}, Bytes(10), out.first(27)), Error);
  EXPECT_THROW((void)cipher.open({}, Bytes(15), out.first(0)), Error);
  EXPECT_THROW((void)cipher.open({}, Bytes(26), out.first(11)), Error);
}

}  // namespace
}  // namespace casevault
