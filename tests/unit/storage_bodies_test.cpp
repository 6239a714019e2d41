#include "vault/storage/bodies.h"

#include <random>

#include "crypto/random.h"
#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

using test::bytes_of;
using test::code_of;
using test::noise;
using test::read_file;
using test::TempFolder;
using test::write_file;

// ---- Padding. The values follow from the paper's formula: E = floor(log2 L), S = floor(log2 E) + 1, the last E - S
// bits zero.
struct PadmeRow {
  std::uint64_t size, padded;
};
TEST(Padme, KnownValues) {
  constexpr PadmeRow kRows[] = {{0, 0},
                                {1, 1},
                                {2, 2},
                                {3, 3},
                                {7, 7},
                                {8, 8},
                                {9, 10},
                                {10, 10},
                                {11, 12},
                                {15, 16},
                                {16, 16},
                                {17, 18},
                                {100, 104},
                                {1000, 1024},
                                {1025, 1088},
                                {65535, 65536},
                                {65536, 65536},
                                {65537, 67584},
                                {1'000'000, 1'015'808},
                                {(1ull << 30) + 1, (1ull << 30) + (1ull << 25)},
                                {1ull << 62, 1ull << 62}};
  for (const auto& [size, padded] : kRows) EXPECT_EQ(padme(size), padded) << size;
}

TEST(Padme, GrowsByLittleAndStaysInOrder) {
  std::uint64_t before = 0;
  for (std::uint64_t size = 1; size < 300'000; ++size) {
    const std::uint64_t padded = padme(size);
    ASSERT_GE(padded, size);
    ASSERT_LE(static_cast<double>(padded), 1.12 * static_cast<double>(size));
    ASSERT_GE(padded, before);
    ASSERT_EQ(padme(padded), padded);
    before = padded;
  }
}

class Bodies : public testing::Test {
 protected:
  BodyRef add(ByteView content, const BodyNameKey& name_key) const {
    auto writer = store.create(name_key);
    writer.write(content);
    writer.finish();
    writer.sync();
    writer.keep();
    return {writer.ref().name, writer.ref().key.clone()};
  }
  BodyRef add(ByteView content) const { return add(content, key); }
  // Everything that `verify` reads.
  Bytes read_whole(const BodyRef& ref, std::uint64_t size) const {
    auto reader = store.open(ref, size);
    Bytes out(size);
    EXPECT_EQ(reader.read_at(0, out), size);
    reader.check_padding();
    return out;
  }
  std::optional<Errc> code_of_reading(const BodyRef& ref, std::uint64_t size) const {
    return code_of([&] { read_whole(ref, size); });
  }
  std::size_t file_count() const {
    const auto listing = store.list();
    return listing.bodies.size() + listing.strangers.size();
  }

  TempFolder folder;
  BodyStore store{folder.path()};
  BodyNameKey key = BodyNameKey::random();
};

// ---- Content.
class BodySizes : public Bodies, public testing::WithParamInterface<std::uint64_t> {};
TEST_P(BodySizes, ComeBack) {
  const Bytes content = noise(GetParam());
  const BodyRef ref = add(content);
  EXPECT_EQ(read_whole(ref, content.size()), content);
  EXPECT_EQ(std::filesystem::file_size(store.path_of(ref.name)), sealed_payload_size(padme(content.size())));
}

TEST_P(BodySizes, AreAnAgePayload) {
  const Bytes content = noise(GetParam());
  const BodyRef ref = add(content);
  Bytes padded = content;
  padded.resize(padme(content.size()));
  EXPECT_EQ(open_payload(ref.key, read_file(store.path_of(ref.name))), padded);
}

TEST_P(BodySizes, WrittenInPiecesOfAnySize) {
  const Bytes content = noise(GetParam());
  for (const std::size_t piece : {1009u, 65535u, 65536u, 65537u, 300'000u}) {
    auto writer = store.create(key);
    for (std::size_t at = 0; at < content.size(); at += piece) {
      writer.write(ByteView(content).subspan(at, std::min(piece, content.size() - at)));
    }
    EXPECT_EQ(writer.size(), content.size());
    writer.finish();
    EXPECT_EQ(writer.size(), content.size());
    EXPECT_EQ(read_whole(writer.ref(), content.size()), content) << piece;
  }
}

TEST_P(BodySizes, ReadInPiecesOfAnySize) {
  const Bytes content = noise(GetParam());
  const BodyRef ref = add(content);
  for (const std::size_t piece : {1009u, 65535u, 65536u, 65537u, 1'048'576u}) {
    auto reader = store.open(ref, content.size());
    Bytes all, out(piece);
    while (const std::size_t count = reader.read_at(all.size(), out))
      all.insert(all.end(), out.begin(), out.begin() + static_cast<long>(count));
    EXPECT_EQ(all, content) << piece;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, BodySizes,
                         testing::Values(0, 1, 2, 16, 100, 65535, 65536, 65537, 131071, 131072, 131073, 16 * 65536,
                                         16 * 65536 + 1, 33 * 65536, 2'500'000));

TEST_F(Bodies, AnyRangeEqualsTheSource) {
  const Bytes content = noise(3'000'001);
  auto reader = store.open(add(content), content.size());
  std::mt19937_64 random(7);
  for (int i = 0; i < 400; ++i) {
    const std::uint64_t offset = random() % (content.size() + 100'000);
    Bytes out(random() % (i % 2 == 0 ? 300 : 1'500'000));
    const std::size_t expected =
        offset >= content.size() ? 0 : std::min<std::size_t>(out.size(), content.size() - offset);
    ASSERT_EQ(reader.read_at(offset, out), expected);
    ASSERT_TRUE(std::equal(out.begin(), out.begin() + static_cast<long>(expected),
                           content.begin() + static_cast<long>(std::min<std::size_t>(offset, content.size()))));
  }
}

TEST_F(Bodies, SameContentLooksDifferentEachTime) {
  const Bytes content = noise(1000);
  const BodyRef a = add(content), b = add(content);
  EXPECT_NE(a.name, b.name);
  EXPECT_NE(read_file(store.path_of(a.name)), read_file(store.path_of(b.name)));
}

// ---- Damage.
TEST_F(Bodies, EveryByteCounts) {
  for (const std::size_t size : {0u, 1u, 100u, 300u}) {
    const BodyRef ref = add(noise(size));
    const Bytes good = read_file(store.path_of(ref.name));
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const std::byte flip : {std::byte{1}, std::byte{0x80}}) {
        Bytes bad = good;
        bad[at] ^= flip;
        write_file(store.path_of(ref.name), bad);
        ASSERT_EQ(code_of_reading(ref, size), Errc::kDamaged) << size << " at " << at;
      }
    }
  }
}

TEST_F(Bodies, DamageIsFoundInItsChunkOnly) {
  const Bytes content = noise(10 * kChunkSize);
  const BodyRef ref = add(content);
  Bytes bad = read_file(store.path_of(ref.name));
  bad[kPayloadNonceSize + 4 * kSealedChunkSize + 77] ^= std::byte{4};
  write_file(store.path_of(ref.name), bad);
  auto reader = store.open(ref, content.size());
  Bytes out(4 * kChunkSize);
  EXPECT_EQ(reader.read_at(0, out), out.size());
  EXPECT_EQ(reader.read_at(5 * kChunkSize, out), out.size());
  EXPECT_EQ(code_of([&] { reader.read_at(4 * kChunkSize, out); }), Errc::kDamaged);
  EXPECT_EQ(code_of([&] { reader.read_at(5 * kChunkSize - 1, std::span(out).first(1)); }), Errc::kDamaged);
  EXPECT_EQ(code_of([&] { reader.read_at(5 * kChunkSize - 1, std::span(out).first(1)); }), Errc::kDamaged)
      << "nor the second time";
  EXPECT_EQ(reader.read_at(5 * kChunkSize, out), out.size()) << "and the rest is there still";
}

TEST_F(Bodies, CutOffExtendedOrMissing) {
  for (const std::size_t size : {1u, 65536u, 200'000u}) {
    const BodyRef ref = add(noise(size));
    const Bytes good = read_file(store.path_of(ref.name));
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{15}, good.size() - 1, good.size() + 1, good.size() + kSealedChunkSize}) {
      Bytes bad = good;
      bad.resize(length);
      write_file(store.path_of(ref.name), bad);
      EXPECT_EQ(code_of_reading(ref, size), Errc::kDamaged) << size << " cut to " << length;
    }
    EXPECT_TRUE(store.remove(ref.name));
    EXPECT_EQ(code_of_reading(ref, size), Errc::kDamaged) << size << " removed";
    EXPECT_FALSE(store.remove(ref.name));
  }
}

TEST_F(Bodies, CutOffWhileOpen) {
  const BodyRef ref = add(noise(2'000'000));
  auto reader = store.open(ref, 2'000'000);
  std::filesystem::resize_file(store.path_of(ref.name), 1'900'000);
  Bytes out(2'000'000);
  EXPECT_EQ(code_of([&] { reader.read_at(0, out); }), Errc::kDamaged);
}

TEST_F(Bodies, ChunksOutOfOrder) {
  const BodyRef ref = add(noise(3 * kChunkSize));
  Bytes bad = read_file(store.path_of(ref.name));
  const auto first = bad.begin() + kPayloadNonceSize;
  std::swap_ranges(first, first + kSealedChunkSize, first + kSealedChunkSize);
  write_file(store.path_of(ref.name), bad);
  EXPECT_EQ(code_of_reading(ref, 3 * kChunkSize), Errc::kDamaged);
}

TEST_F(Bodies, AnotherOneInItsPlace) {
  const BodyRef a = add(noise(1000, 1)), b = add(noise(1000, 2));
  write_file(store.path_of(a.name), read_file(store.path_of(b.name)));
  EXPECT_EQ(code_of_reading(a, 1000), Errc::kDamaged);
}

TEST_F(Bodies, ALinkInItsPlace) {
  const BodyRef a = add(noise(1000, 1));
  std::filesystem::rename(store.path_of(a.name), folder / "moved");
  std::filesystem::create_symlink(folder / "moved", store.path_of(a.name));
  EXPECT_EQ(code_of_reading(a, 1000), Errc::kDamaged);
}

TEST_F(Bodies, WrongSizeInTheRecord) {
  const BodyRef ref = add(noise(100'000));
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{65536}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    EXPECT_EQ(code_of([&] { store.open(ref, size); }), Errc::kDamaged) << size;
  }
}

// A forger with the key could hide something behind the content, or the writer could be wrong.
TEST_F(Bodies, PaddingThatIsNotZero) {
  for (const std::size_t size : {100u, 65537u, 1'000'000u}) {
    const BodyRef ref = add(noise(size));
    Bytes padded = noise(size);
    padded.resize(padme(size));
    ASSERT_GT(padded.size(), size);
    for (const std::size_t at : {size, padded.size() - 1}) {
      Bytes bad = padded;
      bad[at] = std::byte{1};
      write_file(store.path_of(ref.name), seal_payload(ref.key, bad));
      auto reader = store.open(ref, size);
      Bytes out(size);
      EXPECT_EQ(reader.read_at(0, out), size);
      EXPECT_EQ(out, noise(size));
      EXPECT_EQ(code_of([&] { reader.check_padding(); }), Errc::kDamaged) << size << " at " << at;
    }
    write_file(store.path_of(ref.name), seal_payload(ref.key, padded));
    EXPECT_EQ(read_whole(ref, size), noise(size));
  }
}

// ---- Writers.
TEST_F(Bodies, DroppedWriterLeavesNoFile) {
  {
    auto writer = store.create(key);
    writer.write(noise(200'000));
    EXPECT_EQ(file_count(), 1u);
  }
  EXPECT_EQ(file_count(), 0u);
  {
    auto writer = store.create(key);
    writer.finish();
    writer.sync();
    auto moved = std::move(writer);
  }
  EXPECT_EQ(file_count(), 0u);
}

TEST_F(Bodies, FullDiskLeavesNoFile) {
  const test::FileSizeLimit limit(100'000);
  EXPECT_EQ(code_of([&] {
              auto writer = store.create(key);
              writer.write(noise(3'000'000));
              writer.finish();
            }),
            Errc::kNoSpace);
  EXPECT_EQ(file_count(), 0u);
}

TEST_F(Bodies, NoWritingAfterTheEndAndNoSyncBefore) {
  auto writer = store.create(key);
  EXPECT_TRUE(code_of([&] { writer.sync(); }));
  EXPECT_TRUE(code_of([&] { store.sync_all(std::span(&writer, 1)); }));
  writer.finish();
  EXPECT_TRUE(code_of([&] { writer.write(noise(1)); }));
  EXPECT_TRUE(code_of([&] { writer.finish(); }));
}

TEST_F(Bodies, ManyAreSyncedTogether) {
  for (const std::size_t count : {0u, 1u, 2u, 3u, 20u}) {
    std::vector<BodyStore::Writer> writers;
    for (std::size_t i = 0; i < count; ++i) {
      writers.push_back(store.create(key));
      writers.back().write(noise(100'000, i));
      writers.back().finish();
    }
    EXPECT_NO_THROW(store.sync_all(writers));
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(read_whole(writers[i].ref(), 100'000), noise(100'000, i));
  }
}

// ---- Names and leftovers.
TEST_F(Bodies, NamesAreKnownByTheirOwnCaseOnly) {
  const BodyNameKey other = BodyNameKey::random();
  std::vector<std::string> ours, theirs;
  for (int i = 0; i < 5; ++i) {
    ours.push_back(add(noise(10)).name);
    theirs.push_back(add(noise(10), other).name);
  }
  std::ranges::sort(ours);
  std::ranges::sort(theirs);
  EXPECT_EQ(store.names_of(key), ours);
  EXPECT_EQ(store.names_of(other), theirs);
  EXPECT_TRUE(store.names_of(BodyNameKey::random()).empty());
  EXPECT_EQ(store.list().bodies.size(), 10u);
}

TEST_F(Bodies, StrangersAreListed) {
  const std::string name = add(noise(10)).name;
  const std::string inner = name.substr(0, 2);
  const std::string other(32, inner == "ab" ? 'c' : 'a');
  write_file(folder / "file", {});
  std::filesystem::create_directory(folder / "XY");
  std::filesystem::create_directory(folder / inner / (inner + std::string(30, '0')));
  std::filesystem::create_symlink(name, folder / inner / (inner + std::string(30, '1')));
  write_file(folder / inner / other, {});
  write_file(folder / inner / (name + "0"), {});
  const auto listing = store.list();
  EXPECT_EQ(listing.bodies, std::vector<std::string>{name});
  EXPECT_EQ(listing.strangers.size(), 6u);
  EXPECT_TRUE(BodyStore(folder / "missing").list().bodies.empty());
}

TEST_F(Bodies, NamesThatAreNoneAreRefused) {
  for (const std::string name :
       {"", "../../etc/passwd", "ab/../../../../../../../../x/x/x/", "ABCDEFABCDEFABCDEFABCDEFABCDEFAB", "00"}) {
    EXPECT_EQ(code_of([&] { store.path_of(name); }), Errc::kDamaged) << name;
    EXPECT_EQ(code_of([&] { store.remove(name); }), Errc::kDamaged) << name;
    EXPECT_EQ(code_of([&] { store.open(BodyRef{name, FileKey::random()}, 1); }), Errc::kDamaged) << name;
  }
}

TEST_F(Bodies, LeftoverOfALivingWriterStays) {
  const auto yes = [] { return true; };
  std::string name;
  {
    auto writer = store.create(key);
    name = writer.ref().name;
    EXPECT_FALSE(store.remove_leftover(name, yes));
    writer.finish();
    writer.keep();
    EXPECT_FALSE(store.remove_leftover(name, yes)) << "its record is not committed yet";
  }
  EXPECT_EQ(store.names_of(key), std::vector<std::string>{name});
  EXPECT_TRUE(store.remove_leftover(name, yes));
  EXPECT_FALSE(store.remove_leftover(name, yes)) << "gone";
  EXPECT_EQ(file_count(), 0u);
}

TEST_F(Bodies, LeftoverIsAskedForWhileLocked) {
  const BodyRef ref = add(noise(10));
  const auto no = [&] {
    auto file = File::open_for_reading(store.path_of(ref.name));
    EXPECT_FALSE(file->try_lock(File::Lock::kShared));
    return false;
  };
  EXPECT_FALSE(store.remove_leftover(ref.name, no));
  EXPECT_EQ(read_whole(ref, 10), noise(10));
}

}  // namespace
}  // namespace casevault
