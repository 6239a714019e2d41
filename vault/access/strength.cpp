#include "vault/access/strength.h"

#include <zxcvbn.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string_view>
#include <utility>

#include "vault/text.h"

namespace casevault {
namespace {

/// One Cyrillic letter: its key on the Russian (Ukrainian, Belarusian) layout, and how it is transliterated.
struct Letter {
  char32_t small;
  char32_t capital;
  char key;
  char shifted_key;
  const char* latin;
};
constexpr std::array kLetters = {
    Letter{U'а', U'А', 'f', 'F', "a"},  Letter{U'б', U'Б', ',', '<', "b"},  Letter{U'в', U'В', 'd', 'D', "v"},
    Letter{U'г', U'Г', 'u', 'U', "g"},  Letter{U'д', U'Д', 'l', 'L', "d"},  Letter{U'е', U'Е', 't', 'T', "e"},
    Letter{U'ё', U'Ё', '`', '~', "e"},  Letter{U'ж', U'Ж', ';', ':', "zh"}, Letter{U'з', U'З', 'p', 'P', "z"},
    Letter{U'и', U'И', 'b', 'B', "i"},  Letter{U'й', U'Й', 'q', 'Q', "y"},  Letter{U'к', U'К', 'r', 'R', "k"},
    Letter{U'л', U'Л', 'k', 'K', "l"},  Letter{U'м', U'М', 'v', 'V', "m"},  Letter{U'н', U'Н', 'y', 'Y', "n"},
    Letter{U'о', U'О', 'j', 'J', "o"},  Letter{U'п', U'П', 'g', 'G', "p"},  Letter{U'р', U'Р', 'h', 'H', "r"},
    Letter{U'с', U'С', 'c', 'C', "s"},  Letter{U'т', U'Т', 'n', 'N', "t"},  Letter{U'у', U'У', 'e', 'E', "u"},
    Letter{U'ф', U'Ф', 'a', 'A', "f"},  Letter{U'х', U'Х', '[', '{', "h"},  Letter{U'ц', U'Ц', 'w', 'W', "ts"},
    Letter{U'ч', U'Ч', 'x', 'X', "ch"}, Letter{U'ш', U'Ш', 'i', 'I', "sh"}, Letter{U'щ', U'Щ', 'o', 'O', "shch"},
    Letter{U'ъ', U'Ъ', ']', '}', ""},   Letter{U'ы', U'Ы', 's', 'S', "y"},  Letter{U'ь', U'Ь', 'm', 'M', ""},
    Letter{U'э', U'Э', '\'', '"', "e"}, Letter{U'ю', U'Ю', '.', '>', "yu"}, Letter{U'я', U'Я', 'z', 'Z', "ya"},
    Letter{U'і', U'І', 's', 'S', "i"},  Letter{U'ї', U'Ї', ']', '}', "i"},  Letter{U'є', U'Є', '\'', '"', "e"},
    Letter{U'ґ', U'Ґ', '\\', '|', "g"}, Letter{U'ў', U'Ў', 'o', 'O', "u"},
};
constexpr std::size_t kMostLatin = 4;   // "shch"
constexpr double kBitsOfWord = 13;      // a word picked at random from 8,000
constexpr double kBitsOfLetter = 5;     // in what is no word
constexpr double kBitsOfOther = 6.5;    // any of the 95 on a keyboard
constexpr double kBitsOfSeparator = 1;  // between words
constexpr std::size_t kLongWord = 12;   // letters; longer runs may be several words without a space
constexpr std::size_t kLettersPerWord = 8;
constexpr std::size_t kMostConsonants = 4;  // in a row; with more it is no word
constexpr double kTriesPerSecond = 1e6;     // a thousand graphics cards against 256 MiB and 3 passes each

/// The character of UTF-8 that begins `text`, and its length. @pre is_utf8(text), not empty
struct Character {
  char32_t code;
  std::size_t length;
};
Character first_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code = length == 1 ? lead : lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = (code << 6) | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  return {code, length};
}

/// Text in guarded memory, for zxcvbn ended by a zero byte.
class SecretText {
 public:
  explicit SecretText(std::size_t capacity) : bytes_(capacity + 1) {}
  void add(char c) { bytes_.expose_secret_for_writing()[size_++] = std::byte(c); }
  const char* c_str() const { return reinterpret_cast<const char*>(bytes_.expose_secret().data()); }

 private:
  SecretBytes bytes_;
  std::size_t size_ = 0;
};

/// Texts that zxcvbn rates: as it was typed, and without what stands between words, as keys of a Latin keyboard and
/// transliterated.
enum class Reading { kAsTyped, kKeys, kLatin };

bool is_separator(char32_t code) {
  return code < 0x80 && std::string_view(" -_.,").find(static_cast<char>(code)) != std::string_view::npos;
}
bool is_small(char32_t code) {
  return (code >= U'a' && code <= U'z') || std::ranges::find(kLetters, code, &Letter::small) != kLetters.end();
}
bool is_capital(char32_t code) {
  return (code >= U'A' && code <= U'Z') || std::ranges::find(kLetters, code, &Letter::capital) != kLetters.end();
}
bool is_letter(char32_t code) { return code >= 0x80 || is_small(code) || is_capital(code); }
/// Also every letter of an alphabet without a list here.
bool is_vowel(char32_t code) {
  if (code >= 0x80 && !is_small(code) && !is_capital(code)) return true;
  return std::u32string_view(U"aeiouyAEIOUYаеёиоуыэюяіїєАЕЁИОУЫЭЮЯІЇЄ").find(code) != std::u32string_view::npos;
}

void add_character(SecretText& out, char32_t code, Reading reading) {
  for (const Letter& letter : kLetters) {
    if (code != letter.small && code != letter.capital) continue;
    if (reading == Reading::kKeys) {
      out.add(code == letter.small ? letter.key : letter.shifted_key);
    } else {
      for (const char* c = letter.latin; *c; ++c) out.add(*c);
    }
    return;
  }
  // Of alphabets without a list here every character counts as one letter, not as two or three bytes.
  out.add(code < 0x80 ? static_cast<char>(code) : static_cast<char>('a' + code % 26));
}

/// `text` character by character; each with the one before it and the one behind, 0 at the ends. @pre is_utf8(text)
template <typename Visit>
void for_each_character(std::string_view text, const Visit& visit) {
  char32_t before = 0;
  while (!text.empty()) {
    const Character c = first_character(text);
    text.remove_prefix(c.length);
    visit(before, c.code, text.empty() ? 0 : first_character(text).code);
    before = c.code;
  }
}

SecretText read_as(std::string_view text, Reading reading) {
  SecretText out(text.size() * kMostLatin);
  if (reading == Reading::kAsTyped) {
    for (const char c : text) out.add(c);
    return out;
  }
  for_each_character(text, [&](char32_t before, char32_t code, char32_t behind) {
    const bool between_words = is_separator(code) && is_letter(before) && is_letter(behind);
    if (!between_words) add_character(out, code, reading);
  });
  return out;
}

const char* describe(int type) {
  switch (type & (MULTIPLE_MATCH - 1)) {
    case DICTIONARY_MATCH:
    case DICT_LEET_MATCH:
      return "it is mostly common words or passwords";
    case USER_MATCH:
    case USER_LEET_MATCH:
      return "it is mostly a name that would be tried first";
    case REPEATS_MATCH:
      return "it repeats itself";
    case SEQUENCE_MATCH:
      return "it counts, or follows the alphabet";
    case SPATIAL_MATCH:
      return "it follows the keys of the keyboard";
    case DATE_MATCH:
    case YEAR_MATCH:
      return "it is mostly a date";
    default:
      return "it is short";
  }
}

/// The kind of match that covers most characters.
const char* main_weakness(const ZxcMatch_t* matches) {
  std::array<int, MULTIPLE_MATCH> covered{};
  for (const ZxcMatch_t* match = matches; match; match = match->Next) {
    covered[static_cast<std::size_t>(match->Type & (MULTIPLE_MATCH - 1))] += match->Length;
  }
  return describe(static_cast<int>(std::ranges::max_element(covered) - covered.begin()));
}

PassphraseStrength rate(const SecretText& text, std::span<const char*> names) {
  ZxcMatch_t* matches = nullptr;
  const double bits = ZxcvbnMatch(text.c_str(), names.data(), &matches);
  PassphraseStrength strength = {std::max(bits, 0.0), main_weakness(matches)};
  ZxcvbnFreeInfo(matches);
  return strength;
}

/// Letters in a row.
struct Run {
  std::size_t letters = 0;
  std::size_t consonants = 0;  // at its end
  std::size_t most_consonants = 0;
  void add(char32_t letter) {
    ++letters;
    if (std::u32string_view(U"ьъЬЪ").find(letter) != std::u32string_view::npos) return;  // neither
    consonants = is_vowel(letter) ? 0 : consonants + 1;
    most_consonants = std::max(most_consonants, consonants);
  }
  double bits() const {
    const double as_letters = static_cast<double>(letters) * kBitsOfLetter;
    if (most_consonants > kMostConsonants) return as_letters;
    const double words = letters <= kLongWord ? 1 : static_cast<double>(letters) / kLettersPerWord;
    return std::min(words * kBitsOfWord, as_letters);
  }
};

/// What text is worth at most if whatever can be a word is one: zxcvbn does not know the words of most languages.
double bits_as_words(std::string_view text) {
  double bits = 0;
  Run run;
  for_each_character(text, [&](char32_t before, char32_t code, char32_t) {
    const bool begins_anew = !is_letter(code) || (is_capital(code) && is_small(before));
    if (begins_anew) bits += std::exchange(run, {}).bits();
    if (is_letter(code)) {
      run.add(code);
    } else {
      bits += is_separator(code) ? kBitsOfSeparator : kBitsOfOther;
    }
  });
  return bits + run.bits();
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Names as they would be typed: whole, word by word, and each also as keys and in Latin letters. They are no secrets.
std::vector<std::string> readings_of_names(const std::vector<std::string>& names) {
  std::vector<std::string> words;
  for (const std::string& name : names) {
    words.push_back(name);
    for (std::size_t begin = 0; begin < name.size();) {
      const std::size_t end = std::min(name.find(' ', begin), name.size());
      if (end - begin >= 3) words.push_back(name.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  for (std::size_t i = words.size(); i-- > 0;) {
    if (is_ascii(words[i]) || !is_utf8(words[i])) continue;
    for (const Reading reading : {Reading::kKeys, Reading::kLatin})
      words.emplace_back(read_as(words[i], reading).c_str());
  }
  for (std::string& word : words) {
    for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  std::erase_if(words, [](const std::string& word) { return word.empty(); });
  return words;
}

}  // namespace

PassphraseStrength rate_passphrase(const SecretBytes& passphrase, const std::vector<std::string>& names) {
  const std::string_view text = as_text(passphrase.expose_secret());
  const std::vector<std::string> words = readings_of_names(names);
  std::vector<const char*> dictionary;
  dictionary.reserve(words.size() + 1);
  for (const std::string& word : words) dictionary.push_back(word.c_str());
  dictionary.push_back(nullptr);

  PassphraseStrength lowest = rate(read_as(text, Reading::kAsTyped), dictionary);
  if (!is_utf8(text)) return lowest;
  for (const Reading reading : {Reading::kKeys, Reading::kLatin}) {
    PassphraseStrength strength = rate(read_as(text, reading), dictionary);
    if (strength.bits < lowest.bits) lowest = std::move(strength);
  }
  const double as_words = bits_as_words(text);
  if (as_words < lowest.bits) lowest = {as_words, "it has too few words"};
  return lowest;
}

std::string guessing_time(double bits) {
  struct Unit {
    double seconds;
    const char* name;
  };
  constexpr std::array kUnits = {Unit{31557600, "years"}, Unit{86400, "days"}, Unit{3600, "hours"}, Unit{60, "minutes"},
                                 Unit{1, "seconds"}};
  const double seconds = std::exp2(bits - 1) / kTriesPerSecond;
  for (const Unit& unit : kUnits) {
    const double count = seconds / unit.seconds;
    if (count < 2) continue;
    if (count >= 1000) return "more than a thousand years";
    return "about " + std::to_string(std::llround(count)) + " " + unit.name;
  }
  return "a second";
}

}  // namespace casevault
