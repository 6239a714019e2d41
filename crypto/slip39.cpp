#include "crypto/slip39.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "crypto/error.h"
#include "crypto/kdf.h"
#include "crypto/slip39_words.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

constexpr unsigned kRadixBits = 10;
constexpr std::size_t kPrefixWords = 4;  // identifier, flag, exponent, indices and thresholds
constexpr std::size_t kChecksumWords = 3;
constexpr std::size_t kMetadataWords = kPrefixWords + kChecksumWords;
constexpr std::size_t kMinWords = kMetadataWords + 13;  // 128 bits
constexpr std::size_t kMaxWords = kMetadataWords + 52;  // 512 bits
constexpr unsigned kMaxPadding = 8;                     // bits
constexpr std::size_t kDigestSize = 4;
constexpr unsigned kSecretIndex = 255;
constexpr unsigned kDigestIndex = 254;
constexpr unsigned kRounds = 4;
constexpr unsigned kBaseIterations = 10'000;
constexpr std::string_view kCustomization = "shamir";
constexpr std::string_view kCustomizationExtendable = "shamir_extendable";
constexpr std::size_t kMaxSuggestions = 3;

[[noreturn]] void fail(const std::string& why) { throw Error(Errc::kDamaged, why); }

/// The words of a share as numbers below 1024.
struct WordNumbers {
  std::array<std::uint16_t, kMaxWords> at{};
  std::size_t count = 0;
  std::span<std::uint16_t> all() { return std::span(at).first(count); }
  std::span<const std::uint16_t> all() const { return std::span(at).first(count); }
};

// --- Words ---

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row.back();
}

/// Words that `typed` may have been meant to be, the nearest first; none when nothing is near.
std::vector<std::string_view> nearest_words(std::string_view typed) {
  constexpr std::size_t kNear = 2;
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (const auto word : kSlip39Words) {
    const bool begins_alike = typed.size() >= 4 && typed.substr(0, 4) == word.substr(0, 4);
    const auto distance = begins_alike ? 0 : edit_distance(typed, word);
    if (distance <= kNear) near.emplace_back(distance, word);
  }
  std::ranges::stable_sort(near, {}, [](const auto& entry) { return entry.first; });
  std::vector<std::string_view> words;
  for (const auto& [distance, word] : near) {
    if (words.size() < kMaxSuggestions && distance == near.front().first) words.push_back(word);
  }
  return words;
}

[[noreturn]] void fail_unknown_word(std::size_t place, std::string_view typed) {
  std::string why = "word " + std::to_string(place) + " is not in the list of words";
  std::string near;
  for (const auto word : nearest_words(typed)) near += (near.empty() ? "" : ", ") + std::string(word);
  fail(near.empty() ? why : why + "; near it are: " + near);
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_between_words(char c) {
  return std::string_view(" \t\r\n.,;:)").find(c) != std::string_view::npos || (c >= '0' && c <= '9');
}

std::uint16_t number_of_word(std::string_view typed, std::size_t place) {
  constexpr std::size_t kLongest = 8;
  Wiped<std::array<char, kLongest>> lower;
  const auto size = std::min(typed.size(), kLongest);
  std::ranges::transform(typed.substr(0, size), lower.value.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const std::string_view word(lower.value.data(), size);
  const auto found = std::ranges::lower_bound(kSlip39Words, word);
  if (typed.size() > kLongest || found == kSlip39Words.end() || *found != word) fail_unknown_word(place, word);
  return static_cast<std::uint16_t>(found - kSlip39Words.begin());
}

void read_words(std::string_view text, WordNumbers& numbers) {
  while (true) {
    while (!text.empty() && is_between_words(text.front())) text.remove_prefix(1);
    if (text.empty()) return;
    const auto end = std::ranges::find_if_not(text, is_letter);
    const auto size = std::max<std::size_t>(1, static_cast<std::size_t>(end - text.begin()));
    if (numbers.count == kMaxWords) fail("it has more than " + std::to_string(kMaxWords) + " words");
    const auto number = number_of_word(text.substr(0, size), numbers.count + 1);
    numbers.at[numbers.count++] = number;
    text.remove_prefix(size);
  }
}

// --- RS1024 ---

class Polymod {
 public:
  void put(std::uint32_t value) {
    static constexpr std::array<std::uint32_t, 10> kGenerator = {0xE0E040,   0x1C1C080,  0x3838100,  0x7070200,
                                                                 0xE0E0009,  0x1C0C2412, 0x38086C24, 0x3090FC48,
                                                                 0x21B1F890, 0x3F3F120};
    const std::uint32_t top = sum_ >> 20;
    sum_ = (sum_ & 0xFFFFF) << 10 ^ value;
    for (unsigned i = 0; i < kGenerator.size(); ++i) sum_ ^= (0U - (top >> i & 1U)) & kGenerator[i];
  }
  void put(std::string_view text) {
    for (const char c : text) put(static_cast<unsigned char>(c));
  }
  void put(std::span<const std::uint16_t> words) {
    for (const auto word : words) put(std::uint32_t{word});
  }
  std::uint32_t sum() const { return sum_; }

 private:
  std::uint32_t sum_ = 1;
};

constexpr std::uint16_t kExtendableBit = 1U << 4;  // of the second word

std::string_view customization(std::span<const std::uint16_t> words) {
  return (words[1] & kExtendableBit) != 0 ? kCustomizationExtendable : kCustomization;
}

bool checksum_holds(std::span<const std::uint16_t> words) {
  Polymod polymod;
  polymod.put(customization(words));
  polymod.put(words);
  return polymod.sum() == 1;
}

void put_checksum(WordNumbers& words) {
  Polymod polymod;
  polymod.put(customization(words.all()));
  polymod.put(words.all());
  polymod.put(std::array<std::uint16_t, kChecksumWords>{});
  for (unsigned i = kChecksumWords; i-- > 0;)
    words.at[words.count++] = static_cast<std::uint16_t>((polymod.sum() ^ 1) >> (kRadixBits * i) & 1023);
}

/// The place, from 1, of the one word that may be wrong: another one there makes the checksum hold. What the other word
/// is, nobody should be told: that would take away the check.
std::optional<std::size_t> place_of_wrong_word(const WordNumbers& words) {
  Wiped<WordNumbers> tried;
  tried.value = words;
  for (std::size_t place = 0; place < words.count; ++place) {
    for (std::uint16_t word = 0; word < kSlip39WordCount; ++word) {
      tried.value.at[place] = word;
      if (checksum_holds(tried.value.all())) return place + 1;
    }
    tried.value.at[place] = words.at[place];
  }
  return std::nullopt;
}

/// Whether two neighbours changed places.
std::optional<std::size_t> place_of_swap(const WordNumbers& words) {
  Wiped<WordNumbers> tried;
  tried.value = words;
  for (std::size_t place = 0; place + 1 < words.count; ++place) {
    std::swap(tried.value.at[place], tried.value.at[place + 1]);
    if (checksum_holds(tried.value.all())) return place + 1;
    std::swap(tried.value.at[place], tried.value.at[place + 1]);
  }
  return std::nullopt;
}

void require_checksum(const WordNumbers& words) {
  if (checksum_holds(words.all())) return;
  std::string why = "the checksum is wrong";
  if (words.count != kSlip39Words256) {
    fail(why + ", and there are " + std::to_string(words.count) + " words where a trustee's share has " +
         std::to_string(kSlip39Words256));
  }
  if (const auto swapped = place_of_swap(words)) {
    fail(why + ": words " + std::to_string(*swapped) + " and " + std::to_string(*swapped + 1) +
         " seem to have changed places");
  }
  if (const auto place = place_of_wrong_word(words))
    fail(why + ": compare word " + std::to_string(*place) + " with the paper");
  fail(why + ": two words or more are not as they were written; compare all with the paper");
}

// --- Bits ---

/// Takes numbers out of words, front to back.
class BitReader {
 public:
  explicit BitReader(std::span<const std::uint16_t> words) : words_(words) {}
  std::uint32_t take(unsigned bits) {
    std::uint32_t value = 0;
    for (; bits > 0; --bits, ++at_)
      value = value << 1 | (words_[at_ / kRadixBits] >> (kRadixBits - 1 - at_ % kRadixBits) & 1U);
    return value;
  }

 private:
  std::span<const std::uint16_t> words_;
  std::size_t at_ = 0;
};

class BitWriter {
 public:
  explicit BitWriter(WordNumbers& words) : words_(words) {}
  BitWriter& put(std::uint32_t value, unsigned bits) {
    while (bits-- > 0) {
      if (at_ % kRadixBits == 0) words_.at[words_.count++] = 0;
      auto& word = words_.at[at_++ / kRadixBits];
      word = static_cast<std::uint16_t>(word << 1 | (value >> bits & 1U));
    }
    return *this;
  }

 private:
  WordNumbers& words_;
  std::size_t at_ = 0;
};

// --- GF(256), modulo x^8 + x^4 + x^3 + x + 1, without tables and without branches on values ---

std::uint8_t multiply(std::uint8_t a, std::uint8_t b) {
  unsigned product = 0;
  unsigned shifted = a;
  for (unsigned i = 0; i < 8; ++i) {
    product ^= (0U - (static_cast<unsigned>(b) >> i & 1U)) & shifted;
    shifted = shifted << 1 ^ ((0U - (shifted >> 7 & 1U)) & 0x11BU);
  }
  return static_cast<std::uint8_t>(product);
}

/// a^254; 0 for 0.
std::uint8_t inverse(std::uint8_t a) {
  std::uint8_t result = 1;
  for (unsigned i = 0; i < 7; ++i) {
    a = multiply(a, a);
    result = multiply(result, a);
  }
  return result;
}

struct Point {
  std::uint8_t x = 0;
  const SecretBytes* y = nullptr;
};

/// The value at `x` of the polynomial through the points. @pre distinct x, values of one length
SecretBytes interpolate(std::span<const Point> points, std::uint8_t x) {
  SecretBytes result(points.front().y->size());
  const auto out = result.expose_secret_for_writing();
  for (const auto& point : points) {
    std::uint8_t basis = 1;
    for (const auto& other : points) {
      if (other.x == point.x) continue;
      basis = multiply(basis, multiply(static_cast<std::uint8_t>(x ^ other.x),
                                       inverse(static_cast<std::uint8_t>(point.x ^ other.x))));
    }
    const auto y = point.y->expose_secret();
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] ^= std::byte{multiply(std::to_integer<std::uint8_t>(y[i]), basis)};
  }
  return result;
}

bool digest_holds(const SecretBytes& digest_share, const SecretBytes& secret) {
  const auto bytes = digest_share.expose_secret();
  Wiped<ByteArray<32>> mac;
  mac.value = hmac_sha256(bytes.subspan(kDigestSize), secret.expose_secret());
  return equal_constant_time(ByteView(mac.value).first(kDigestSize), bytes.first(kDigestSize));
}

/// nullopt where the digest shows that the points do not belong together; one point alone has none.
std::optional<SecretBytes> secret_of(std::span<const Point> points) {
  if (points.size() == 1) return SecretBytes::copy_of(points.front().y->expose_secret());
  auto secret = interpolate(points, static_cast<std::uint8_t>(kSecretIndex));
  if (!digest_holds(interpolate(points, static_cast<std::uint8_t>(kDigestIndex)), secret)) return std::nullopt;
  return secret;
}

/// Of more points than are needed, those that are off the polynomial through `used`, as numbers that people see.
std::string strangers(std::span<const Point> points, std::span<const Point> used) {
  std::string numbers;
  for (const auto& point : points) {
    if (equal_constant_time(interpolate(used, point.x).expose_secret(), point.y->expose_secret())) continue;
    numbers += (numbers.empty() ? "" : ", ") + std::to_string(point.x + 1);
  }
  return numbers;
}

/// @pre at least `threshold` points with distinct x
SecretBytes recover(std::span<const Point> points, unsigned threshold) {
  std::vector<bool> choice(points.size(), false);
  std::fill_n(choice.begin(), threshold, true);
  do {
    std::vector<Point> used;
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (choice[i]) used.push_back(points[i]);
    }
    auto secret = secret_of(used);
    if (!secret) continue;
    if (const auto others = strangers(points, used); !others.empty())
      fail("share " + others + " does not belong to the others, though it says so: it was forged; leave it out");
    return std::move(*secret);
  } while (std::prev_permutation(choice.begin(), choice.end()));  // at most 12,870 choices of 16
  fail("these shares do not belong together, though they say so: one of them was forged");
}

// --- Encryption: a Feistel network of four rounds of PBKDF2-HMAC-SHA-256 ---

void apply_round(unsigned round, const SecretBytes& passphrase, ByteView salt, unsigned iterations, ByteView right,
                 std::span<std::byte> left) {
  SecretBytes password(1 + passphrase.size());
  password.expose_secret_for_writing()[0] = static_cast<std::byte>(round);
  copy_bytes(passphrase.expose_secret(), password.expose_secret_for_writing().subspan(1));
  SecretBytes salted(salt.size() + right.size());
  copy_bytes(salt, salted.expose_secret_for_writing());
  copy_bytes(right, salted.expose_secret_for_writing().subspan(salt.size()));
  SecretBytes key(left.size());
  const int status =
      PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(raw(password.expose_secret())), static_cast<int>(password.size()),
                        raw(salted.expose_secret()), static_cast<int>(salted.size()), static_cast<int>(iterations),
                        EVP_sha256(), static_cast<int>(key.size()), raw(key.expose_secret_for_writing()));
  require(status == 1, "PBKDF2 failed");
  for (std::size_t i = 0; i < left.size(); ++i) left[i] ^= key.expose_secret()[i];
}

enum class Direction { kEncrypt, kDecrypt };

SecretBytes feistel(Direction direction, const Slip39Share& common, const SecretBytes& input,
                    const SecretBytes& passphrase) {
  Bytes salt;
  if (!common.extendable) {
    const ByteArray<2> identifier = {static_cast<std::byte>(common.identifier >> 8),
                                     static_cast<std::byte>(common.identifier)};
    salt = concat({as_bytes(kCustomization), identifier});
  }
  const unsigned iterations = (kBaseIterations << common.iteration_exponent) / kRounds;
  const auto half = input.size() / 2;
  auto left = SecretBytes::copy_of(input.expose_secret().first(half));
  auto right = SecretBytes::copy_of(input.expose_secret().subspan(half));
  for (unsigned i = 0; i < kRounds; ++i) {
    const unsigned round = direction == Direction::kEncrypt ? i : kRounds - 1 - i;
    apply_round(round, passphrase, salt, iterations, right.expose_secret(), left.expose_secret_for_writing());
    std::swap(left, right);
  }
  SecretBytes output(input.size());
  copy_bytes(right.expose_secret(), output.expose_secret_for_writing());
  copy_bytes(left.expose_secret(), output.expose_secret_for_writing().subspan(half));
  return output;
}

// --- Sets ---

bool is_of_one_set(const Slip39Share& a, const Slip39Share& b) {
  const bool same_secret = a.identifier == b.identifier && a.extendable == b.extendable &&
                           a.iteration_exponent == b.iteration_exponent && a.value.size() == b.value.size() &&
                           a.group_threshold == b.group_threshold && a.group_count == b.group_count;
  return same_secret && (a.group_index != b.group_index || a.member_threshold == b.member_threshold);
}

std::string name_of(const Slip39Share& share) {
  return slip39_set_name(share.identifier, share.extendable, share.iteration_exponent);
}

void require_one_set(const std::vector<Slip39Share>& shares) {
  for (std::size_t i = 0; i < shares.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const auto& a = shares[j];
      const auto& b = shares[i];
      if (!is_of_one_set(a, b)) {
        const bool same_name = name_of(a) == name_of(b);
        throw Error(Errc::kUsage, "these shares are of different sets: " +
                                      (same_name ? "both say " + name_of(a) + ", but differ in what a set has in common"
                                                 : name_of(a) + " and " + name_of(b)));
      }
      if (a.group_index == b.group_index && a.member_index == b.member_index)
        throw Error(Errc::kUsage, "share " + std::to_string(a.member_index + 1) + " is there twice");
    }
  }
}

std::map<unsigned, std::vector<const Slip39Share*>> groups_of(const std::vector<Slip39Share>& shares) {
  std::map<unsigned, std::vector<const Slip39Share*>> groups;
  for (const auto& share : shares) groups[share.group_index].push_back(&share);
  return groups;
}

Slip39Share like(const Slip39Share& common, unsigned index, SecretBytes value) {
  Slip39Share share;
  share.identifier = common.identifier;
  share.member_index = static_cast<std::uint8_t>(index);
  share.member_threshold = common.member_threshold;
  share.value = std::move(value);
  return share;
}

SecretBytes random_secret(std::size_t size) {
  SecretBytes bytes(size);
  fill_random(bytes.expose_secret_for_writing());
  return bytes;
}

/// Four bytes of HMAC, then the random bytes that key it.
SecretBytes digest_share_of(const SecretBytes& secret) {
  auto share = random_secret(secret.size());
  const auto bytes = share.expose_secret_for_writing();
  Wiped<ByteArray<32>> mac;
  mac.value = hmac_sha256(bytes.subspan(kDigestSize), secret.expose_secret());
  copy_bytes(ByteView(mac.value).first(kDigestSize), bytes);
  return share;
}

}  // namespace

Slip39Share Slip39Share::parse(const SecretBytes& words) {
  Wiped<WordNumbers> numbers;
  read_words(as_text(words.expose_secret()), numbers.value);
  const auto count = numbers.value.count;
  const auto value_words = count - std::min(count, kMetadataWords);
  const auto padding = static_cast<unsigned>(kRadixBits * value_words % 16);
  if (count < kMinWords || padding > kMaxPadding) {
    fail("it has " + std::to_string(count) + " words; a trustee's share has " + std::to_string(kSlip39Words256));
  }
  require_checksum(numbers.value);
  BitReader reader(numbers.value.all());
  Slip39Share share;
  share.identifier = static_cast<std::uint16_t>(reader.take(15));
  share.extendable = reader.take(1) == 1;
  share.iteration_exponent = static_cast<std::uint8_t>(reader.take(4));
  share.group_index = static_cast<std::uint8_t>(reader.take(4));
  share.group_threshold = static_cast<std::uint8_t>(reader.take(4) + 1);
  share.group_count = static_cast<std::uint8_t>(reader.take(4) + 1);
  share.member_index = static_cast<std::uint8_t>(reader.take(4));
  share.member_threshold = static_cast<std::uint8_t>(reader.take(4) + 1);
  if (share.group_threshold > share.group_count) fail("it asks for more groups of shares than there are");
  if (reader.take(padding) != 0) fail("its padding is wrong: it was not made as SLIP-0039 wants it");
  share.value = SecretBytes((kRadixBits * value_words - padding) / 8);
  for (auto& byte : share.value.expose_secret_for_writing()) byte = static_cast<std::byte>(reader.take(8));
  return share;
}

SecretBytes Slip39Share::words() const {
  Wiped<WordNumbers> numbers;
  const auto bits = static_cast<unsigned>(value.size() * 8);
  const unsigned padding = (kRadixBits - bits % kRadixBits) % kRadixBits;
  BitWriter writer(numbers.value);
  writer.put(identifier, 15).put(extendable ? 1 : 0, 1).put(iteration_exponent, 4).put(group_index, 4);
  writer.put(group_threshold - 1U, 4).put(group_count - 1U, 4).put(member_index, 4).put(member_threshold - 1U, 4);
  writer.put(0, padding);
  for (const auto byte : value.expose_secret()) writer.put(std::to_integer<std::uint32_t>(byte), 8);
  put_checksum(numbers.value);
  std::size_t size = numbers.value.count - 1;
  for (const auto number : numbers.value.all()) size += kSlip39Words[number].size();
  SecretBytes text(size);
  auto rest = text.expose_secret_for_writing();
  for (const auto number : numbers.value.all()) {
    const auto word = as_bytes(kSlip39Words[number]);
    copy_bytes(word, rest);
    rest = rest.subspan(word.size());
    if (rest.empty()) break;
    rest.front() = std::byte{' '};
    rest = rest.subspan(1);
  }
  return text;
}

std::string slip39_set_name(std::uint16_t identifier, bool extendable, std::uint8_t iteration_exponent) {
  const auto bits = std::uint32_t{identifier} << 5 | (extendable ? 1U : 0U) << 4 | iteration_exponent;
  return std::string(kSlip39Words[bits >> kRadixBits]) + " " + std::string(kSlip39Words[bits & 1023]);
}

std::vector<Slip39Share> slip39_split(const RecoverySeed& secret, std::uint16_t identifier, unsigned threshold,
                                      unsigned count) {
  require(threshold >= 2 && threshold <= count && count <= kMaxSlip39Shares && identifier < 1U << 15,
          "slip39_split: numbers out of range");
  Slip39Share common;
  common.identifier = identifier;
  common.member_threshold = static_cast<std::uint8_t>(threshold);
  const auto encrypted = feistel(Direction::kEncrypt, common, SecretBytes::copy_of(secret.expose_secret()), {});
  const auto digest = digest_share_of(encrypted);
  std::vector<Slip39Share> shares;
  for (unsigned i = 0; i < threshold - 2; ++i) shares.push_back(like(common, i, random_secret(encrypted.size())));
  std::vector<Point> points;
  for (const auto& share : shares) points.push_back({share.member_index, &share.value});
  points.push_back({static_cast<std::uint8_t>(kDigestIndex), &digest});
  points.push_back({static_cast<std::uint8_t>(kSecretIndex), &encrypted});
  std::vector<Slip39Share> others;
  for (unsigned i = threshold - 2; i < count; ++i)
    others.push_back(like(common, i, interpolate(points, static_cast<std::uint8_t>(i))));
  std::ranges::move(others, std::back_inserter(shares));
  const auto again = slip39_combine(shares, {});
  require(equal_constant_time(again.expose_secret(), secret.expose_secret()),
          "slip39_split: the shares do not combine");
  return shares;
}

std::optional<Slip39Missing> slip39_missing(const std::vector<Slip39Share>& shares) {
  if (shares.empty()) return Slip39Missing{1, 0};
  require_one_set(shares);
  const auto groups = groups_of(shares);
  Slip39Missing missing;
  std::vector<unsigned> lacking;
  for (const auto& [index, members] : groups) {
    const auto have = static_cast<unsigned>(members.size());
    const unsigned needed = members.front()->member_threshold;
    lacking.push_back(needed > have ? needed - have : 0);
  }
  std::ranges::sort(lacking);
  const unsigned groups_needed = shares.front().group_threshold;
  for (unsigned i = 0; i < groups_needed && i < lacking.size(); ++i) missing.shares += lacking[i];
  if (groups_needed > lacking.size()) missing.groups = groups_needed - static_cast<unsigned>(lacking.size());
  if (missing.groups == 0 && missing.shares == 0) return std::nullopt;
  return missing;
}

RecoverySeed slip39_seed(const SecretBytes& secret) {
  if (secret.size() != RecoverySeed::kSize) fail("the shares give a secret of another length");
  return RecoverySeed::from_bytes(secret.expose_secret().first<RecoverySeed::kSize>());
}

SecretBytes slip39_combine(const std::vector<Slip39Share>& shares, const SecretBytes& passphrase) {
  if (const auto missing = slip39_missing(shares)) {
    throw Error(Errc::kUsage, missing->groups > 0 ? "shares of further groups are needed"
                                                  : std::to_string(missing->shares) + " more shares are needed");
  }
  std::vector<SecretBytes> group_values;
  std::vector<std::uint8_t> group_indices;
  for (const auto& [index, members] : groups_of(shares)) {
    if (members.size() < members.front()->member_threshold) continue;
    std::vector<Point> points;
    for (const auto* member : members) points.push_back({member->member_index, &member->value});
    group_values.push_back(recover(points, members.front()->member_threshold));
    group_indices.push_back(static_cast<std::uint8_t>(index));
  }
  std::vector<Point> points;
  for (std::size_t i = 0; i < group_values.size(); ++i) points.push_back({group_indices[i], &group_values[i]});
  const auto encrypted = recover(points, shares.front().group_threshold);
  return feistel(Direction::kDecrypt, shares.front(), encrypted, passphrase);
}

}  // namespace casevault
