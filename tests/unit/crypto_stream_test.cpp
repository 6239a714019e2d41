#include "crypto/stream.h"

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "tests/support/vectors.h"

#ifdef CASEVAULT_TEST_ZLIB
#include <zlib.h>
#endif

namespace casevault {
namespace {

using test::hex_array;

// ---- Sizes.
TEST(StreamSizes, OfTheFirstChunks) {
  EXPECT_EQ(sealed_payload_size(0), 16u + 16);
  EXPECT_EQ(sealed_payload_size(1), 16u + 17);
  EXPECT_EQ(sealed_payload_size(kChunkSize), 16u + kSealedChunkSize);
  EXPECT_EQ(sealed_payload_size(kChunkSize + 1), 16u + kSealedChunkSize + 17);
}

TEST(StreamSizes, EverySealedSizeHasOneInverseOrNone) {
  for (std::uint64_t sealed = 0; sealed < 3 * kSealedChunkSize; ++sealed) {
    const auto plain = plaintext_size_of(sealed);
    if (plain) {
      ASSERT_EQ(sealed_payload_size(*plain), sealed);
    }
  }
  for (std::uint64_t plain = 0; plain < 3 * kChunkSize; ++plain) {
    ASSERT_EQ(plaintext_size_of(sealed_payload_size(plain)), plain);
  }
}

class NoPayloadSize : public testing::TestWithParam<std::uint64_t> {};
TEST_P(NoPayloadSize, HasNoInverse) { EXPECT_EQ(plaintext_size_of(GetParam()), std::nullopt); }
INSTANTIATE_TEST_SUITE_P(StreamSizes, NoPayloadSize,
                         testing::Values(0, 15, 16, 31, 16 + kSealedChunkSize + 1, 16 + kSealedChunkSize + 15,
                                         16 + kSealedChunkSize + 16,  // an empty last chunk
                                         16 + 2 * kSealedChunkSize + 16));

TEST(StreamSizes, DoNotOverflow) {
  constexpr std::uint64_t kTebibyte = std::uint64_t{1} << 40;
  EXPECT_EQ(plaintext_size_of(sealed_payload_size(1000 * kTebibyte)), 1000 * kTebibyte);
}

// ---- Whole payloads.
Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  fill_random(bytes);
  return bytes;
}

const std::size_t kPayloadSizes[] = {0, 1, 1000, kChunkSize - 1, kChunkSize, kChunkSize + 1, 2 * kChunkSize, 200000};

class Payload : public testing::TestWithParam<std::size_t> {};
TEST_P(Payload, OpensToWhatWasSealed) {
  const FileKey key = FileKey::random();
  const Bytes plain = random_bytes(GetParam());
  const Bytes sealed = seal_payload(key, plain);
  EXPECT_EQ(sealed.size(), sealed_payload_size(plain.size()));
  EXPECT_EQ(open_payload(key, sealed), plain);
  EXPECT_NE(seal_payload(key, plain), sealed) << "the nonce must be fresh";
  EXPECT_FALSE(open_payload(FileKey::random(), sealed));
}
TEST_P(Payload, CutOffOrLengthenedIsRefused) {
  const FileKey key = FileKey::random();
  Bytes sealed = seal_payload(key, random_bytes(GetParam()));
  for (const std::size_t cut : {std::size_t{1}, std::size_t{16}, std::size_t{17}, kSealedChunkSize, sealed.size()}) {
    const std::size_t kept = sealed.size() - std::min(cut, sealed.size());
    EXPECT_FALSE(open_payload(key, ByteView(sealed).first(kept))) << cut;
  }
  for (const std::size_t more : {std::size_t{1}, std::size_t{16}, std::size_t{17}, kSealedChunkSize}) {
    EXPECT_FALSE(open_payload(key, concat({sealed, Bytes(more)}))) << more;
  }
}
INSTANTIATE_TEST_SUITE_P(Stream, Payload, testing::ValuesIn(kPayloadSizes));

TEST(Stream, EveryByteOfAPayloadCounts) {
  const FileKey key = FileKey::random();
  const Bytes sealed = seal_payload(key, random_bytes(1000));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i] ^= std::byte{1} << (i % 8);
    EXPECT_FALSE(open_payload(key, changed)) << i;
  }
}

TEST(Stream, SwappedChunksAreRefused) {
  const FileKey key = FileKey::random();
  Bytes sealed = seal_payload(key, random_bytes(3 * kChunkSize));
  const auto first = sealed.begin() + kPayloadNonceSize;
  std::swap_ranges(first, first + kSealedChunkSize, first + kSealedChunkSize);
  EXPECT_FALSE(open_payload(key, sealed));
}

// ---- Single chunks.
class Chunk : public testing::Test {
 protected:
  Bytes sealed(std::uint64_t number, bool last) {
    Bytes out(plain.size() + kChunkTagSize);
    cipher.seal(number, last, plain, out);
    return out;
  }
  bool opens(std::uint64_t number, bool last, ByteView from) {
    Bytes out = random_bytes(from.size() - kChunkTagSize);
    const bool authentic = cipher.open(number, last, from, out);
    EXPECT_EQ(out, authentic ? plain : Bytes(out.size())) << "what was not authentic must be zeroed";
    return authentic;
  }
  const Bytes plain = random_bytes(1000);
  ChunkCipher cipher{PayloadKey::random()};
};

TEST_F(Chunk, OpensOnlyAtItsPlace) {
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{256}, ~std::uint64_t{0}}) {
    const Bytes last = sealed(number, true), middle = sealed(number, false);
    EXPECT_NE(last, middle);
    EXPECT_TRUE(opens(number, true, last));
    EXPECT_TRUE(opens(number, false, middle));
    EXPECT_FALSE(opens(number, false, last));
    EXPECT_FALSE(opens(number, true, middle));
    EXPECT_FALSE(opens(number ^ 1, true, last));
    EXPECT_FALSE(opens(number ^ (std::uint64_t{1} << 63), true, last));
    EXPECT_TRUE(opens(number, true, last)) << "after failures";
  }
}

TEST_F(Chunk, NonceIsElevenBytesOfNumberAndTheLastFlag) {
  // 256 would be chunk 1 with the flag in another byte order.
  EXPECT_FALSE(opens(1, false, sealed(256, false)));
  EXPECT_FALSE(opens(0, true, sealed(1, false)));
}

TEST_F(Chunk, WorksInPlace) {
  Bytes buffer = plain;
  buffer.resize(plain.size() + kChunkTagSize);
  cipher.seal(7, false, std::span(buffer).first(plain.size()), buffer);
  EXPECT_EQ(buffer, sealed(7, false));
  EXPECT_TRUE(cipher.open(7, false, buffer, std::span(buffer).first(plain.size())));
  buffer.resize(plain.size());
  EXPECT_EQ(buffer, plain);
}

TEST_F(Chunk, MovesWithItsKey) {
  const Bytes chunk = sealed(0, true);
  ChunkCipher moved = std::move(cipher);
  Bytes out(plain.size());
  EXPECT_TRUE(moved.open(0, true, chunk, out));
}

TEST_F(Chunk, WrongSizesAreABug) {
  Bytes large(kChunkSize + 1), sealed_large(large.size() + kChunkTagSize), small(10);
  EXPECT_THROW(cipher.seal(0, true, large, sealed_large), Error);
  EXPECT_THROW((void)cipher.open(0, true, sealed_large, large), Error);
  EXPECT_THROW(cipher.seal(0, true, small, small), Error);
  EXPECT_THROW((void)cipher.open(0, true, small, small), Error);
}

// ---- C2SP/CCTV age vectors: those that are not armored and whose outcome is decided by the payload.
std::string header_field(const std::filesystem::path& path, const std::string& field) {
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line) && !line.empty();) {
    if (line.starts_with(field + ": ")) return line.substr(field.size() + 2);
  }
  return {};
}

std::vector<std::filesystem::path> payload_vectors() {
  auto files = test::vector_files("age");
  std::erase_if(files, [](const std::filesystem::path& path) {
    if (path.empty()) return false;  // stands for the absent folder
    const std::string expect = header_field(path, "expect");
    const bool about_payload =
        expect == "success" || expect == "payload failure" || path.filename().string().starts_with("stream_");
    return !about_payload || !header_field(path, "armored").empty();
  });
  return files;
}

#ifdef CASEVAULT_TEST_ZLIB
Bytes inflated(ByteView compressed) {
  Bytes out(64 << 20);
  auto size = static_cast<uLongf>(out.size());
  const int status = uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                                reinterpret_cast<const Bytef*>(compressed.data()), compressed.size());
  EXPECT_EQ(status, Z_OK);
  out.resize(size);
  return out;
}
#endif

ByteView after(ByteView bytes, std::string_view separator) {
  const std::size_t at = as_text(bytes).find(separator);
  EXPECT_NE(at, std::string_view::npos);
  return bytes.subspan(std::min(at + separator.size(), bytes.size()));
}

// What follows the age header, which ends with the line of its MAC.
ByteView payload_of(ByteView age_file) { return after(after(age_file, "\n--- "), "\n"); }

/// What a reader that does not know the length in advance has released when it stops, as age's reference reader does
/// it.
struct Released {
  Bytes plaintext;
  bool complete = false;
};
Released read_chunk_by_chunk(const FileKey& key, ByteView sealed) {
  Released released;
  ChunkCipher cipher(payload_key(key, to_array<kPayloadNonceSize>(sealed)));
  sealed = sealed.subspan(kPayloadNonceSize);
  for (std::uint64_t number = 0; !sealed.empty(); ++number) {
    const ByteView chunk = sealed.first(std::min(sealed.size(), kSealedChunkSize));
    sealed = sealed.subspan(chunk.size());
    if (chunk.size() < kChunkTagSize || (number > 0 && chunk.size() == kChunkTagSize)) return released;
    Bytes plain(chunk.size() - kChunkTagSize);
    const bool middle = chunk.size() == kSealedChunkSize && cipher.open(number, false, chunk, plain);
    const bool last = !middle && cipher.open(number, true, chunk, plain);
    if (!middle && !last) return released;
    released.plaintext.insert(released.plaintext.end(), plain.begin(), plain.end());
    if (last) {
      released.complete = sealed.empty();
      return released;
    }
  }
  return released;
}

class AgePayload : public testing::TestWithParam<std::filesystem::path> {};
TEST_P(AgePayload, IsDecidedAsExpected) {
  CASEVAULT_NEEDS_VECTORS(GetParam());
  const Bytes vector = test::read_file(GetParam());
  ByteView file = after(vector, "\n\n");
#ifdef CASEVAULT_TEST_ZLIB
  Bytes decompressed;
  if (header_field(GetParam(), "compressed") == "zlib") file = decompressed = inflated(file);
#else
  if (!header_field(GetParam(), "compressed").empty()) GTEST_SKIP() << "the vector is compressed; built without zlib";
#endif
  const auto key = FileKey::from_bytes(hex_array<16>(header_field(GetParam(), "file key")));
  const ByteView payload = payload_of(file);
  const bool success = header_field(GetParam(), "expect") == "success";

  const auto opened = open_payload(key, payload);
  ASSERT_EQ(opened.has_value(), success);
  if (success) {
    EXPECT_EQ(to_hex(sha256(*opened)), header_field(GetParam(), "payload"));
  }

  if (payload.size() < kPayloadNonceSize) return;  // the short nonce, which age counts as a failure of the header
  const Released released = read_chunk_by_chunk(key, payload);
  EXPECT_EQ(released.complete, success);
  EXPECT_EQ(to_hex(sha256(released.plaintext)), header_field(GetParam(), "payload"));

  if (!success) return;
  // Sealed again with the same nonce it is the same payload.
  ChunkCipher cipher(payload_key(key, to_array<kPayloadNonceSize>(payload)));
  Bytes again = concat({payload.first(kPayloadNonceSize)});
  again.resize(payload.size());
  for (std::uint64_t number = 0, count = std::max<std::uint64_t>(1, (opened->size() + kChunkSize - 1) / kChunkSize);
       number < count; ++number) {
    const auto plain = ByteView(*opened)
                           .subspan(number * kChunkSize)
                           .first(std::min(kChunkSize, opened->size() - number * kChunkSize));
    cipher.seal(number, number + 1 == count, plain,
                std::span(again).subspan(kPayloadNonceSize + number * kSealedChunkSize, plain.size() + kChunkTagSize));
  }
  EXPECT_TRUE(std::ranges::equal(again, payload));
}
INSTANTIATE_TEST_SUITE_P(Stream, AgePayload, testing::ValuesIn(payload_vectors()), test::vector_test_name);

TEST(AgePayloadVectors, AllCasesAreThere) {
  CASEVAULT_NEEDS_VECTORS(test::vector_path("age"));
  EXPECT_EQ(test::vector_files("age").size(), 115u);
  EXPECT_EQ(payload_vectors().size(), 26u);
}

}  // namespace
}  // namespace casevault
