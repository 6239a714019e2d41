#include "crypto/bytes.h"

#include "crypto/sodium_util.h"

namespace casevault {
namespace {

template <std::size_t N, typename Integer>
ByteArray<N> big_endian(Integer value) {
  ByteArray<N> out;
  for (std::size_t i = N; i-- > 0; value >>= 8) out[i] = static_cast<std::byte>(value);
  return out;
}

template <typename Integer, std::size_t N>
Integer read_big_endian(std::span<const std::byte, N> bytes) {
  Integer value = 0;
  for (const std::byte b : bytes) value = (value << 8) | std::to_integer<Integer>(b);
  return value;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  std::string text(2 * bytes.size() + 1, '\0');  // libsodium writes a terminator too
  sodium_bin2hex(text.data(), text.size(), raw(bytes), bytes.size());
  text.pop_back();
  return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
  // libsodium would also take upper case.
  if (text.size() % 2 != 0 || text.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  if (text.empty()) return Bytes{};  // libsodium wants a pointer
  Bytes bytes(text.size() / 2);
  const int status = sodium_hex2bin(raw(bytes), bytes.size(), text.data(), text.size(), nullptr, nullptr, nullptr);
  return status == 0 ? std::optional(std::move(bytes)) : std::nullopt;
}

Bytes concat(std::initializer_list<ByteView> pieces) {
  std::size_t size = 0;
  for (const ByteView piece : pieces) size += piece.size();
  Bytes out;
  out.reserve(size);
  for (const ByteView piece : pieces) out.insert(out.end(), piece.begin(), piece.end());
  return out;
}

ByteArray<4> be32(std::uint32_t value) { return big_endian<4>(value); }
ByteArray<8> be64(std::uint64_t value) { return big_endian<8>(value); }
std::uint32_t read_be32(std::span<const std::byte, 4> bytes) { return read_big_endian<std::uint32_t>(bytes); }
std::uint64_t read_be64(std::span<const std::byte, 8> bytes) { return read_big_endian<std::uint64_t>(bytes); }

bool equal_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace casevault
