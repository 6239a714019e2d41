#include "crypto/age_armor.h"

#include "crypto/random.h"
#include "tests/support/age_vectors.h"

namespace casevault {
namespace {

const std::string kFirst = "-----BEGIN AGE ENCRYPTED FILE-----\n";
const std::string kLast = "-----END AGE ENCRYPTED FILE-----\n";

std::string armor(ByteView bytes, std::size_t step = SIZE_MAX) {
  std::string text;
  AgeArmorWriter writer([&](ByteView piece) { text += as_text(piece); });
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(step, bytes.size()))) {
    writer.write(bytes.first(std::min(step, bytes.size())));
  }
  writer.finish();
  return text;
}

/// nullopt when the armor is refused.
std::optional<Bytes> dearmored(std::string_view text, std::size_t step = SIZE_MAX, std::size_t read_size = 100) {
  try {
    AgeArmorReader reader([source = source_of(as_bytes(text)), step](std::span<std::byte> out) {
      return source(out.first(std::min(out.size(), step)));
    });
    Bytes all, piece(read_size);
    while (const std::size_t size = reader.read(piece)) {
      all.insert(all.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(size));
    }
    EXPECT_EQ(reader.read(piece), 0u) << "it stays at the end";
    return all;
  } catch (const AgeError& error) {
    EXPECT_EQ(error.fault(), AgeFault::kArmor);
    EXPECT_EQ(error.code(), Errc::kDamaged);
    return std::nullopt;
  }
}

Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  fill_random(bytes);
  return bytes;
}

class ArmorSizes : public testing::TestWithParam<std::size_t> {};
TEST_P(ArmorSizes, ComeBackThroughPiecesOfAnySize) {
  const Bytes bytes = random_bytes(GetParam());
  const std::string text = armor(bytes);
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{47}, std::size_t{48}, std::size_t{49}, std::size_t{1000}}) {
    EXPECT_EQ(armor(bytes, step), text) << step;
    EXPECT_EQ(dearmored(text, step, step), bytes) << step;
  }
  std::string_view rest = text;
  while (!rest.empty()) {
    EXPECT_LE(rest.find('\n'), 64u);
    rest.remove_prefix(rest.find('\n') + 1);
  }
}
INSTANTIATE_TEST_SUITE_P(Age, ArmorSizes, testing::Values(0, 1, 2, 3, 46, 47, 48, 49, 95, 96, 97, 100000, 65536 * 3));

class ArmorVectors : public testing::TestWithParam<std::filesystem::path> {};

// Spaces around it and CRLF are let pass; apart from those, what is read is written the same way.
std::string canonical(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c != '\r') result += c;
  }
  result.erase(0, result.find_first_not_of(" \t\n"));
  result.erase(result.find_last_not_of(" \t\n") + 1);
  return result + '\n';
}

TEST_P(ArmorVectors, AreRefusedOrEncodeToTheSameBytes) {
  CASEVAULT_NEEDS_VECTORS(GetParam());
  const test::AgeVector vector = test::read_age_vector(GetParam());
  if (!vector.readable) GTEST_SKIP() << "the vector is compressed; built without zlib";
  const bool detected = AgeInput(source_of(vector.file)).is_armored();
  if (!vector.armored()) {
    EXPECT_FALSE(detected);
    EXPECT_FALSE(dearmored(as_text(vector.file)));
    return;
  }
  EXPECT_EQ(detected, GetParam().filename() != "armor_garbage_leading");
  const auto bytes = dearmored(as_text(vector.file));
  ASSERT_EQ(bytes.has_value(), vector.expect() != "armor failure");
  if (bytes) {
    EXPECT_EQ(armor(*bytes), canonical(as_text(vector.file)));
  }
}

INSTANTIATE_TEST_SUITE_P(Age, ArmorVectors, testing::ValuesIn(test::vector_files("age")), test::vector_test_name);

struct ArmorCase {
  const char* name;
  std::string text;
  bool good = false;
};
const std::string kLine = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBURWlGMHlwcXIrYnB2Y3FY\n";
const ArmorCase kArmorCases[] = {
    {"empty_input", ""},
    {"white_space_only", " \n\n"},
    {"empty_armor", kFirst + kLast, true},
    {"plain", kFirst + kLine + "YWdl\n" + kLast, true},
    {"crlf_mixed", kFirst + kLine.substr(0, 64) + "\r\nYWdl\n" + kLast, true},
    {"last_line_without_its_end", kFirst + kLine + kLast.substr(0, kLast.size() - 1), true},
    {"cut_off_after_first_line", kFirst},
    {"cut_off_in_first_line", kFirst.substr(0, 10)},
    {"cut_off_after_a_line", kFirst + kLine},
    {"cut_off_in_last_line", kFirst + kLine + kLast.substr(0, 20)},
    {"no_first_line", kLine + kLast},
    {"space_before_first_line", " " + kFirst + kLine + kLast},
    {"carriage_return_before_first_line", "\r" + kFirst + kLine + kLast},
    {"space_behind_last_line", kFirst + kLine + kLast.substr(0, kLast.size() - 1) + " \n"},
    {"two_carriage_returns", kFirst + kLine.substr(0, 64) + "\r\r\n" + kLast},
    {"carriage_return_in_a_line", kFirst + kLine.substr(0, 60) + "\r" + kLine.substr(60) + kLast},
    {"line_too_long", kFirst + kLine.substr(0, 64) + "YWdl\n" + kLast},
    {"line_after_short_line", kFirst + "YWdl\n" + kLine + kLast},
    {"padding_in_full_line_then_more", kFirst + kLine.substr(0, 62) + "==\n" + kLine + kLast},
    {"padding_inside", kFirst + "YQ==YWdl\n" + kLast},
    {"unused_bits", kFirst + "YR==\n" + kLast},
    {"url_alphabet", kFirst + "YW-_\n" + kLast},
    {"byte_above_0x7f", kFirst + "YWd\xe9\n" + kLast},
    {"nul", kFirst + std::string("YWd\0\n", 5) + kLast},
    {"text_behind", kFirst + kLine + kLast + "x"},
    {"second_armor_behind", kFirst + kLine + kLast + kFirst + kLine + kLast},
    {"white_space_of_1024", std::string(1024, '\n') + kFirst + kLine + kLast + std::string(1024, ' '), true},
    {"white_space_before_of_1025", std::string(1025, '\n') + kFirst + kLine + kLast},
    {"white_space_behind_of_1025", kFirst + kLine + kLast + std::string(1025, ' ')},
};

class Armor : public testing::TestWithParam<ArmorCase> {};
TEST_P(Armor, IsStrict) {
  EXPECT_EQ(dearmored(GetParam().text).has_value(), GetParam().good);
  EXPECT_EQ(dearmored(GetParam().text, 1, 1).has_value(), GetParam().good);
}
INSTANTIATE_TEST_SUITE_P(Age, Armor, testing::ValuesIn(kArmorCases), [](const auto& info) { return info.param.name; });

TEST(ArmorReader, AnEndlessLineIsGivenUp) {
  std::uint64_t given = 0;
  AgeArmorReader reader([&](std::span<std::byte> out) {
    std::ranges::fill(out, std::byte{'-'});
    given += out.size();
    return out.size();
  });
  Bytes piece(10);
  EXPECT_THROW(reader.read(piece), AgeError);
  EXPECT_LE(given, 1u << 17);
}

TEST(ArmorWriter, WhoseSinkFailedCannotFinish) {
  bool fail = false;
  AgeArmorWriter writer([&](ByteView) {
    if (fail) throw Error(Errc::kNoSpace, "full");
  });
  fail = true;
  EXPECT_THROW(writer.write(Bytes(200000)), Error);
  fail = false;
  EXPECT_THROW(writer.finish(), Error);
}

// ---- Input in either form.
class EitherForm : public testing::TestWithParam<std::size_t> {};
TEST_P(EitherForm, GivesTheSameBytes) {
  const Bytes file = concat({as_bytes("age-encryption.org/v1\n"), random_bytes(200000)});
  const std::string text = "\r\n \n" + armor(file);
  for (const ByteView form : {ByteView(file), as_bytes(text)}) {
    AgeInput input([source = source_of(form)](std::span<std::byte> out) {
      return source(out.first(std::min(out.size(), GetParam())));
    });
    EXPECT_EQ(input.is_armored(), form.size() != file.size());
    Bytes all, piece(GetParam());
    while (const std::size_t size = input.read(piece)) {
      all.insert(all.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(size));
    }
    EXPECT_TRUE(all == file);
  }
}
INSTANTIATE_TEST_SUITE_P(Age, EitherForm, testing::Values(1, 1000, 65536, 1000000));

TEST(EitherForm, NothingIsNotArmored) {
  AgeInput input(source_of({}));
  EXPECT_FALSE(input.is_armored());
  Bytes piece(10);
  EXPECT_EQ(input.read(piece), 0u);
}

}  // namespace
}  // namespace casevault
