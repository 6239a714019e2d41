// The ASCII armor of age: what is read is written the same way, but for white space around it and CRLF; the sizes of
// pieces do not matter; what is written is read back.
#include "crypto/age_armor.h"

#include <algorithm>

#include "crypto/random.h"
#include "tests/support/fuzz.h"

using namespace casevault;

namespace {

struct Read {
  Bytes bytes;  // all that was handed out
  bool whole = false;
};

Read read_all(ByteView text, std::size_t step, std::size_t read_size) {
  Read result;
  Bytes piece(read_size);
  try {
    AgeArmorReader reader(test::in_steps(text, step));
    while (const std::size_t size = reader.read(piece)) test::append(result.bytes, ByteView(piece).first(size));
    result.whole = true;
  } catch (const AgeError& error) {
    test::check(error.fault() == AgeFault::kArmor && error.code() == Errc::kDamaged, "a fault of another part");
  }
  return result;
}

std::string write_all(ByteView bytes, std::size_t step) {
  std::string text;
  AgeArmorWriter writer([&](ByteView piece) { text += as_text(piece); });
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(step, bytes.size()))) {
    writer.write(bytes.first(std::min(step, bytes.size())));
  }
  writer.finish();
  return text;
}

std::string canonical(std::string_view text) {
  constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kWhiteSpace)));
  text = text.substr(0, text.find_last_not_of(kWhiteSpace) + 1);
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) != "\r\n") result += text[i];
  }
  return result + '\n';
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  init_crypto();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = data[0] + 1u;
  const ByteView text = std::as_bytes(std::span(data + 1, size - 1));

  const Read read = read_all(text, SIZE_MAX, 1000), in_pieces = read_all(text, step, 257 - step);
  test::check(read.whole == in_pieces.whole && read.bytes == in_pieces.bytes, "pieces read otherwise");
  if (read.whole) test::check(write_all(read.bytes, step) == canonical(as_text(text)), "it encodes to other bytes");

  const std::string written = write_all(text, step);
  test::check(written == write_all(text, SIZE_MAX), "pieces written otherwise");
  const Read back = read_all(as_bytes(written), step, 100);
  test::check(back.whole && std::ranges::equal(back.bytes, text), "it does not come back");

  AgeInput either(test::in_steps(text, step));
  test::check(!read.whole || either.is_armored(), "armor is not seen");
  return 0;
}
