#include "crypto/aead.h"

#include "crypto/error.h"
#include "tests/support/vectors.h"

namespace casevault {
namespace {

using test::hex;

Bytes opened(const std::optional<SecretBytes>& secret) {
  const auto view = secret.value().expose_secret();
  return {view.begin(), view.end()};
}

TEST(Aead, OpensWhatItSealed) {
  const CaseKey key = CaseKey::random();
  for (const std::size_t size : {0, 1, 63, 64, 65, 1000}) {
    const Bytes plaintext(size, std::byte{7});
    const Bytes sealed = aead_seal(key, plaintext, as_bytes("place"));
    EXPECT_EQ(sealed.size(), size + kAeadOverhead);
    EXPECT_EQ(opened(aead_open(key, sealed, as_bytes("place"))), plaintext);
  }
}

TEST(Aead, SealsDifferentlyEachTime) {
  const CaseKey key = CaseKey::random();
  EXPECT_NE(aead_seal(key, as_bytes("same"), {}), aead_seal(key, as_bytes("same"), {}));
}

TEST(Aead, EveryBitCounts) {
  const CaseKey key = CaseKey::random();
  const Bytes sealed = aead_seal(key, as_bytes("a short title"), as_bytes("place"));
  for (std::size_t i = 0; i < 8 * sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i / 8] ^= std::byte{1} << (i % 8);
    EXPECT_FALSE(aead_open(key, changed, as_bytes("place"))) << "bit " << i;
  }
}

TEST(Aead, EveryLengthCounts) {
  const CaseKey key = CaseKey::random();
  Bytes sealed = aead_seal(key, as_bytes("title"), {});
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(aead_open(key, ByteView(sealed).first(size), {})) << size;
  }
  sealed.push_back(std::byte{0});
  EXPECT_FALSE(aead_open(key, sealed, {}));
}

TEST(Aead, KeyAndAssociatedDataCount) {
  const CaseKey key = CaseKey::random();
  const Bytes sealed = aead_seal(key, as_bytes("title"), as_bytes("place"));
  EXPECT_FALSE(aead_open(CaseKey::random(), sealed, as_bytes("place")));
  EXPECT_FALSE(aead_open(key, sealed, as_bytes("Place")));
  EXPECT_FALSE(aead_open(key, sealed, as_bytes("plac")));
  EXPECT_FALSE(aead_open(key, sealed, {}));
}

TEST(Aead, RefusesAKeyOfAnotherSize) {
  EXPECT_THROW(aead_seal(Bytes(31), {}, {}), Error);
  EXPECT_THROW((void)aead_open(Bytes(33), Bytes(100), {}), Error);
}

TEST(Wycheproof, XChaCha20Poly1305) {
  const auto path = test::vector_path("wycheproof/xchacha20_poly1305_test.json");
  CASEVAULT_NEEDS_VECTORS(path);
  int cases = 0, without_our_nonce_size = 0;
  const auto vectors = test::read_json(path);
  for (const auto& group : vectors["testGroups"]) {
    for (const auto& c : group["tests"]) {
      SCOPED_TRACE(c["tcId"]);
      ++cases;
      if (group["ivSize"] != 192) {
        ++without_our_nonce_size;
        EXPECT_EQ(c["result"], "invalid");
        continue;
      }
      const auto at = [&](const char* name) { return hex(c[name].get<std::string>()); };
      const auto plaintext = aead_open(at("key"), concat({at("iv"), at("ct"), at("tag")}), at("aad"));
      ASSERT_EQ(plaintext.has_value(), c["result"] == "valid");
      if (plaintext) {
        EXPECT_EQ(opened(plaintext), at("msg"));
      }
    }
  }
  EXPECT_EQ(cases, 315);
  EXPECT_EQ(without_our_nonce_size, 9);  // our nonce has no other size, so these cannot be put to it
}

}  // namespace
}  // namespace casevault
