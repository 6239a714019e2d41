#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace casevault {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;
template <std::size_t N>
using ByteArray = std::array<std::byte, N>;

/// Views of each other's storage; the result must not outlive the argument.
inline ByteView as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Lower-case hexadecimal.
std::string to_hex(ByteView bytes);
/// Strict: even length, lower case only. nullopt otherwise.
std::optional<Bytes> from_hex(std::string_view text);
/// As from_hex, and exactly N bytes.
template <std::size_t N>
std::optional<ByteArray<N>> array_from_hex(std::string_view text);

/// The pieces one after the other.
Bytes concat(std::initializer_list<ByteView> pieces);

/// To the start of `to`. std::ranges::copy of std::byte goes one by one in gcc 12: fifteen times as long.
/// @pre to.size() >= from.size(); they do not overlap
inline void copy_bytes(ByteView from, std::span<std::byte> to) {
  std::copy(from.begin(), from.end(), to.first(from.size()).begin());
}

/// Big-endian, as in the wire formats (network byte order).
ByteArray<4> be32(std::uint32_t value);
ByteArray<8> be64(std::uint64_t value);
std::uint32_t read_be32(std::span<const std::byte, 4> bytes);
std::uint64_t read_be64(std::span<const std::byte, 8> bytes);

/// Constant-time in the content (not in the lengths); different lengths compare unequal.
bool equal_constant_time(ByteView a, ByteView b);

/// The first N bytes of `bytes` as an array. @pre bytes.size() >= N
template <std::size_t N>
ByteArray<N> to_array(ByteView bytes) {
  ByteArray<N> out;
  for (std::size_t i = 0; i < N; ++i) out[i] = bytes[i];
  return out;
}

template <std::size_t N>
std::optional<ByteArray<N>> array_from_hex(std::string_view text) {
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != N) return std::nullopt;
  return to_array<N>(*bytes);
}

}  // namespace casevault
