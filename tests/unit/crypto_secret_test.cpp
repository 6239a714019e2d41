#include "crypto/secret.h"

#include <algorithm>
#include <concepts>
#include <ostream>
#include <type_traits>

#include "tests/support/vectors.h"

namespace casevault {
namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};
template <typename T>
concept MoveOnly =
    std::movable<T> && !std::copyable<T> && !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;

static_assert(Streamable<int>);
static_assert(MoveOnly<SecretBytes> && MoveOnly<CaseKey> && MoveOnly<FileKey>);
static_assert(!Streamable<SecretBytes> && !Streamable<CaseKey> && !Streamable<FileKey>);
// No way out but expose_secret, no way in but the factories.
static_assert(!std::convertible_to<CaseKey, ByteView> && !std::convertible_to<SecretBytes, ByteView>);
static_assert(!std::convertible_to<ByteView, SecretBytes> && !std::convertible_to<std::size_t, SecretBytes>);
static_assert(!std::convertible_to<SecretBytes, CaseKey> && !std::is_default_constructible_v<CaseKey>);
static_assert(!std::equality_comparable<SecretBytes> && !std::equality_comparable<CaseKey>);
// A key of one purpose is no key of another.
static_assert(!std::constructible_from<CaseKey, CatalogKey> && !std::assignable_from<CaseKey&, CatalogKey>);

bool all_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

TEST(SecretBytes, StartsAsZeros) {
  const SecretBytes secret(100);
  EXPECT_EQ(secret.size(), 100u);
  EXPECT_TRUE(all_zero(secret.expose_secret()));
}

TEST(SecretBytes, EmptyIsFine) {
  const SecretBytes secret(0);
  EXPECT_TRUE(secret.empty());
  EXPECT_TRUE(secret.expose_secret().empty());
  EXPECT_TRUE(SecretBytes::copy_of({}).empty());
  EXPECT_TRUE(SecretBytes().empty());
}

TEST(SecretBytes, CopiesItsArgument) {
  Bytes source = test::hex("0102030405");
  const SecretBytes secret = SecretBytes::copy_of(source);
  source[0] = std::byte{9};
  EXPECT_EQ(to_hex(secret.expose_secret()), "0102030405");
}

TEST(SecretBytes, MovedFromIsEmpty) {
  SecretBytes first = SecretBytes::copy_of(as_bytes("first"));
  SecretBytes second = std::move(first);
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): what is tested
  EXPECT_EQ(as_text(second.expose_secret()), "first");
  SecretBytes third = SecretBytes::copy_of(as_bytes("third, replaced"));
  third = std::move(second);
  EXPECT_TRUE(second.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(as_text(third.expose_secret()), "first");
}

TEST(SecretBytes, TruncateKeepsTheStart) {
  SecretBytes secret = SecretBytes::copy_of(as_bytes("passphrase\n"));
  secret.truncate(10);
  EXPECT_EQ(as_text(secret.expose_secret()), "passphrase");
  secret.truncate(0);
  EXPECT_TRUE(secret.empty());
}

#if !defined(__SANITIZE_ADDRESS__)  // the sanitizer has its own answer to a wild write
TEST(SecretBytesDeathTest, WritingBehindTheEndEndsTheProcess) {
  SecretBytes secret(32);
  volatile std::byte* const data = secret.expose_secret_for_writing().data();
  EXPECT_DEATH(data[32] = std::byte{1}, "");
}
#endif

TEST(Key, RandomKeysDiffer) {
  const CaseKey a = CaseKey::random(), b = CaseKey::random();
  EXPECT_FALSE(all_zero(a.expose_secret()));
  EXPECT_FALSE(equal_constant_time(a.expose_secret(), b.expose_secret()));
}

TEST(Key, CloneIsEqualAndSeparate) {
  CaseKey key = CaseKey::random();
  const CaseKey clone = key.clone();
  EXPECT_TRUE(equal_constant_time(key.expose_secret(), clone.expose_secret()));
  key.expose_secret_for_writing()[0] ^= std::byte{1};
  EXPECT_FALSE(equal_constant_time(key.expose_secret(), clone.expose_secret()));
}

TEST(Key, HasTheSizeItsTypeSays) {
  EXPECT_EQ(FileKey::random().expose_secret().size(), 16u);
  EXPECT_EQ(CaseKey::zero().expose_secret().size(), 32u);
}

}  // namespace
}  // namespace casevault
