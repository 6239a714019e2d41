// The payload of an age file: however it is changed, what is handed out is whole chunks from its start, and the end is
// told only for what was written. And any bytes at all may be given for an age file.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>

#include "crypto/age.h"
#include "crypto/age_armor.h"
#include "crypto/random.h"
#include "tests/support/fuzz.h"

using namespace casevault;

namespace {

struct Read {
  Bytes plain;  // all that was handed out
  bool whole = false;
};

template <typename Reader>
void read_all(Reader& reader, std::size_t read_size, Read& result) {
  Bytes piece(read_size);
  while (const std::size_t size = reader.read(piece)) test::append(result.plain, ByteView(piece).first(size));
  result.whole = true;
}

const FileKey& file_key() {
  static const FileKey key = FileKey::zero();
  return key;
}

Read read_payload(ByteView sealed, std::size_t step, std::size_t read_size) {
  Read result;
  try {
    AgePayloadReader reader(file_key(), BufferedSource(test::in_steps(sealed, step), 2 * kSealedChunkSize));
    read_all(reader, read_size, result);
  } catch (const AgeError& error) {
    test::check(error.code() == Errc::kDamaged, "a fault that is no damage");
  }
  return result;
}

Bytes write_payload(ByteView plain, std::size_t step) {
  Bytes sealed;
  AgePayloadWriter writer(file_key(), [&](ByteView bytes) { test::append(sealed, bytes); });
  for (; !plain.empty(); plain = plain.subspan(std::min(step, plain.size()))) {
    writer.write(plain.first(std::min(step, plain.size())));
  }
  writer.finish();
  return sealed;
}

// The n-th chunk of what is there, or what is left of it.
std::span<std::byte> chunk(Bytes& sealed, std::size_t n) {
  const std::size_t begin = std::min(sealed.size(), kPayloadNonceSize + n * kSealedChunkSize);
  return std::span(sealed).subspan(begin, std::min(kSealedChunkSize, sealed.size() - begin));
}

void change(Bytes& sealed, FuzzedDataProvider& input) {
  const auto position = [&] { return input.ConsumeIntegralInRange<std::size_t>(0, sealed.size()); };
  const std::size_t n = input.ConsumeIntegralInRange<std::size_t>(0, 5);
  switch (input.ConsumeIntegralInRange<int>(0, 5)) {
    case 0:  // other bits
      if (const std::size_t at = position(); at < sealed.size())
        sealed[at] ^= std::byte{input.ConsumeIntegral<std::uint8_t>()};
      break;
    case 1:  // cut off
      sealed.resize(position());
      break;
    case 2:  // lengthened
      sealed.resize(sealed.size() + input.ConsumeIntegralInRange<std::size_t>(0, 2 * kSealedChunkSize));
      break;
    case 3: {  // chunks in another order
      const auto a = chunk(sealed, n), b = chunk(sealed, n + 1);
      std::swap_ranges(b.begin(), b.end(), a.begin());
      break;
    }
    case 4: {  // a chunk once more at the end
      const auto again = chunk(sealed, n);
      sealed = concat({sealed, again});
      break;
    }
    default: {  // without a chunk
      const auto gone = chunk(sealed, n);
      sealed = concat(
          {std::span(sealed.data(), gone.data()), std::span(gone.data() + gone.size(), sealed.data() + sealed.size())});
    }
  }
}

void check_payload(FuzzedDataProvider& input) {
  Bytes plain(input.ConsumeIntegralInRange<std::size_t>(0, 4 * kChunkSize + 1));
  for (std::size_t i = 0; i < plain.size(); i += 1000) plain[i] = static_cast<std::byte>(i / 1000);
  const std::size_t write_size = input.ConsumeIntegralInRange<std::size_t>(100, 5 * kChunkSize);
  const std::size_t step = input.ConsumeIntegralInRange<std::size_t>(100, 5 * kChunkSize);
  const std::size_t read_size = input.ConsumeIntegralInRange<std::size_t>(100, 2 * kChunkSize);
  const Bytes sealed = write_payload(plain, write_size);
  const Read sound = read_payload(sealed, step, read_size);
  test::check(sound.whole && sound.plain == plain, "it does not come back");

  Bytes changed = sealed;
  for (int changes = input.ConsumeIntegralInRange<int>(1, 3); changes > 0; --changes) change(changed, input);
  const Read read = read_payload(changed, step, read_size);
  if (changed == sealed) return;
  test::check(!read.whole, "a changed payload passes for whole");
  test::check(read.plain.size() % kChunkSize == 0 || read.plain.size() == plain.size(), "a part of a chunk came out");
  test::check(read.plain.size() <= plain.size() && std::equal(read.plain.begin(), read.plain.end(), plain.begin()),
              "what came out is not what was written");
}

void check_any_file(ByteView file) {
  static const AgeIdentity identity = AgeIdentity::from_key(AgeKeyKind::kX25519, AgeSecretKey::zero());
  Read result;
  try {
    AgeInput either(test::in_steps(file, 1000));
    AgeReader reader([&](std::span<std::byte> out) { return either.read(out); }, std::span(&identity, 1));
    read_all(reader, kChunkSize, result);
  } catch (const AgeError&) {
  }
  test::check(!result.whole && result.plain.empty(), "a file opens that nobody wrote");
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  init_crypto();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_any_file(std::as_bytes(std::span(data, size)));
  FuzzedDataProvider input(data, size);
  check_payload(input);
  return 0;
}
