#include "crypto/encoding.h"

#include <algorithm>

#include "crypto/error.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

std::string base64_encode(ByteView bytes, int variant) {
  std::string text(sodium_base64_encoded_len(bytes.size(), variant), '\0');  // counts a terminator
  sodium_bin2base64(text.data(), text.size(), raw(bytes), bytes.size(), variant);
  text.pop_back();
  return text;
}

constexpr std::string_view kBase64Characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
constexpr std::string_view kBase64urlCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// libsodium refuses unused bits that are not zero and padding other than the variant's. But 1.0.18 takes some bytes
// above 0x7f for letters, so foreign characters are refused here.
std::optional<Bytes> base64_decode(std::string_view text, int variant,
                                   std::string_view characters = kBase64Characters) {
  if (text.find_first_not_of(characters) != std::string_view::npos) return std::nullopt;
  Bytes bytes(text.size() / 4 * 3 + 3);
  std::size_t size = 0;
  if (sodium_base642bin(raw(bytes), bytes.size(), text.data(), text.size(), nullptr, &size, nullptr, variant) != 0) {
    return std::nullopt;
  }
  bytes.resize(size);
  return bytes;
}

constexpr std::string_view kBech32Alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr std::size_t kBech32ChecksumSize = 6;  // characters

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }
char upper(char c) { return is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c; }
bool has_upper(std::string_view text) { return std::ranges::any_of(text, is_upper); }
bool has_lower(std::string_view text) { return std::ranges::any_of(text, is_lower); }

/// The BCH code of BIP 173 over the prefix and the five-bit groups.
class Bech32Checksum {
 public:
  explicit Bech32Checksum(std::string_view prefix) {
    for (const char c : prefix) add(static_cast<std::uint8_t>(lower(c)) >> 5);
    add(0);
    for (const char c : prefix) add(static_cast<std::uint8_t>(lower(c)) & 31);
  }
  void add(std::uint32_t group) {
    static constexpr std::array<std::uint32_t, 5> kGenerator = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                                                0x2a1462b3};
    const std::uint32_t top = state_ >> 25;
    state_ = ((state_ & 0x1ffffff) << 5) ^ group;
    for (std::size_t i = 0; i < kGenerator.size(); ++i) {
      if ((top >> i) & 1) state_ ^= kGenerator[i];
    }
  }
  std::uint32_t value() const { return state_ ^ 1; }  // zero once a right checksum was added

 private:
  std::uint32_t state_ = 1;
};

bool is_bech32_prefix(std::string_view text) {
  return !text.empty() && !(has_upper(text) && has_lower(text)) &&
         std::ranges::all_of(text, [](char c) { return c >= 33 && c <= 126; });
}

// nullopt for padding of a whole group or more, or with a bit set.
std::optional<Bytes> bytes_of_groups(std::string_view characters) {
  Bytes bytes;
  bytes.reserve(characters.size() * 5 / 8);
  std::uint32_t pending = 0;
  unsigned bits = 0;
  for (const char c : characters) {
    pending =
        (pending << 5 | static_cast<std::uint32_t>(kBech32Alphabet.find(lower(c)))) & 0xfff;  // 7 old bits at most
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<std::byte>(pending >> bits));
  }
  if (bits >= 5 || (pending & ((1u << bits) - 1)) != 0) return std::nullopt;
  return bytes;
}

constexpr std::string_view kProquintConsonants = "bdfghjklmnprstvz";
constexpr std::string_view kProquintVowels = "aiou";
constexpr std::size_t kProquintSize = 5;  // letters

std::string proquint(std::uint32_t word) {
  return {kProquintConsonants[word >> 12 & 15], kProquintVowels[word >> 10 & 3], kProquintConsonants[word >> 6 & 15],
          kProquintVowels[word >> 4 & 3], kProquintConsonants[word & 15]};
}

std::optional<std::uint32_t> from_proquint(std::string_view letters) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    const bool vowel = i % 2 == 1;
    const std::size_t value = (vowel ? kProquintVowels : kProquintConsonants).find(letters[i]);
    if (value == std::string_view::npos) return std::nullopt;
    word = word << (vowel ? 2 : 4) | static_cast<std::uint32_t>(value);
  }
  return word;
}

}  // namespace

std::string to_base64(ByteView bytes) { return base64_encode(bytes, sodium_base64_VARIANT_ORIGINAL); }
std::optional<Bytes> from_base64(std::string_view text) { return base64_decode(text, sodium_base64_VARIANT_ORIGINAL); }
std::string to_base64_unpadded(ByteView bytes) {
  return base64_encode(bytes, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}
std::optional<Bytes> from_base64_unpadded(std::string_view text) {
  return base64_decode(text, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}
std::string to_base64url(ByteView bytes) { return base64_encode(bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING); }
std::optional<Bytes> from_base64url(std::string_view text) {
  return base64_decode(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING, kBase64urlCharacters);
}

std::string to_bech32(std::string_view prefix, ByteView data) {
  require(is_bech32_prefix(prefix), "bech32: wrong prefix");
  std::string text;
  text.reserve(prefix.size() + 1 + (data.size() * 8 + 4) / 5 +
               kBech32ChecksumSize);  // no copies left behind by growing
  std::ranges::transform(prefix, std::back_inserter(text), lower);
  text += '1';
  Bech32Checksum checksum(prefix);
  const auto put = [&](std::uint32_t group) {
    checksum.add(group & 31);
    text += kBech32Alphabet[group & 31];
  };
  std::uint32_t pending = 0;
  unsigned bits = 0;
  for (const std::byte b : data) {
    pending = (pending << 8 | std::to_integer<std::uint32_t>(b)) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) put(pending >> (bits - 5));
  }
  if (bits > 0) put(pending << (5 - bits));
  for (std::size_t i = 0; i < kBech32ChecksumSize; ++i) checksum.add(0);
  for (int shift = 25; shift >= 0; shift -= 5) text += kBech32Alphabet[checksum.value() >> shift & 31];
  if (has_upper(prefix)) std::ranges::transform(text, text.begin(), upper);
  return text;
}

std::optional<Bech32> from_bech32(std::string_view text) {
  const std::size_t separator = text.rfind('1');
  if (separator == std::string_view::npos || (has_upper(text) && has_lower(text))) return std::nullopt;
  const std::string_view prefix = text.substr(0, separator);
  std::string_view groups = text.substr(separator + 1);
  if (!is_bech32_prefix(prefix) || groups.size() < kBech32ChecksumSize) return std::nullopt;
  Bech32Checksum checksum(prefix);
  for (const char c : groups) {
    const std::size_t group = kBech32Alphabet.find(lower(c));
    if (group == std::string_view::npos) return std::nullopt;
    checksum.add(static_cast<std::uint32_t>(group));
  }
  if (checksum.value() != 0) return std::nullopt;
  groups.remove_suffix(kBech32ChecksumSize);
  auto data = bytes_of_groups(groups);
  if (!data) return std::nullopt;
  return Bech32{std::string(prefix), std::move(*data)};
}

std::string to_proquints(ByteView bytes) {
  require(bytes.size() % 2 == 0, "proquints: an odd number of bytes");
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    if (i > 0) text += '-';
    text += proquint(std::to_integer<std::uint32_t>(bytes[i]) << 8 | std::to_integer<std::uint32_t>(bytes[i + 1]));
  }
  return text;
}

std::optional<Bytes> from_proquints(std::string_view text) {
  Bytes bytes;
  if (text.empty()) return bytes;
  if (text.size() % (kProquintSize + 1) != kProquintSize) return std::nullopt;  // each word but the last has its "-"
  for (std::size_t at = 0; at < text.size(); at += kProquintSize + 1) {
    const auto word = from_proquint(text.substr(at, kProquintSize));
    const bool joined = at + kProquintSize == text.size() || text[at + kProquintSize] == '-';
    if (!word || !joined) return std::nullopt;
    bytes.push_back(static_cast<std::byte>(*word >> 8));
    bytes.push_back(static_cast<std::byte>(*word));
  }
  return bytes;
}

}  // namespace casevault
