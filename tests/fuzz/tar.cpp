// A tar from outside. What reads is the same however the source comes in pieces; and written by us it reads the same.
#include "vault/sharing/tar.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "crypto/error.h"
#include "tests/support/fuzz.h"

namespace {

using namespace casevault;

struct Content {
  std::string top_folder;
  std::vector<std::pair<std::string, Bytes>> files;
  bool operator==(const Content&) const = default;
};

// nullopt when it is refused. Gives at most `step` bytes at once.
std::optional<Content> read_all(ByteView tar, std::size_t step) {
  Content content;
  try {
    TarReader reader(test::in_steps(tar, step));
    while (const auto member = reader.next()) {
      Bytes data;
      for (ByteView piece = reader.read_piece(); !piece.empty(); piece = reader.read_piece()) test::append(data, piece);
      test::check(data.size() == member->size, "a member has the size it was said to have");
      content.files.emplace_back(member->path, std::move(data));
    }
    content.top_folder = reader.top_folder();
  } catch (const Error& error) {
    test::check(error.code() == Errc::kDamaged, "what is refused is damaged");
    return std::nullopt;
  }
  return content;
}

Bytes write_all(const Content& content) {
  Bytes tar;
  TarWriter writer([&](ByteView bytes) { test::append(tar, bytes); }, content.top_folder, 0);
  for (const auto& [path, data] : content.files) {
    writer.begin_file(path, data.size());
    writer.write(data);
    writer.end_file();
  }
  writer.finish();
  return tar;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

// Mends the checksums of what looks like headers, or hardly any change would come past them.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned) {
  size = LLVMFuzzerMutate(data, size, max_size);
  for (std::size_t at = 0; at + 512 <= size; at += 512) {
    std::uint8_t* block = data + at;
    if (std::string_view(reinterpret_cast<const char*>(block) + 257, 5) != "ustar") continue;
    std::fill_n(block + 148, 8, std::uint8_t{' '});
    unsigned sum = 0;
    for (std::size_t i = 0; i < 512; ++i) sum += block[i];
    for (std::size_t i = 6; i-- > 0; sum >>= 3) block[148 + i] = static_cast<std::uint8_t>('0' + (sum & 7));
    block[154] = 0;
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView tar = std::as_bytes(std::span(data, size));
  const auto content = read_all(tar, size + 1);
  test::check(read_all(tar, 200) == content, "reading does not depend on how the source comes in pieces");
  if (!content || content->files.empty()) return 0;  // without a file there is nothing to write
  test::check(read_all(write_all(*content), size + 1) == content, "what was read can be written and read again");
  return 0;
}
