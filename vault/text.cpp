#include "vault/text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

namespace casevault {
namespace {

struct Character {
  char32_t code = 0;
  std::size_t size = 0;  // bytes
};

unsigned byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

// Unicode 15, table 3-7: what the second byte may be after `lead`; {1, 0} (nothing) where `lead` starts no character.
struct SecondByte {
  unsigned low, high;
};
SecondByte second_byte_after(unsigned lead) {
  if (lead == 0xE0) return {0xA0, 0xBF};
  if (lead == 0xED) return {0x80, 0x9F};
  if (lead == 0xF0) return {0x90, 0xBF};
  if (lead == 0xF4) return {0x80, 0x8F};
  if (lead >= 0xC2 && lead <= 0xF3) return {0x80, 0xBF};
  return {1, 0};
}

// The character at the start of `text`; nullopt when the bytes there are not UTF-8. @pre !text.empty()
std::optional<Character> first_character(std::string_view text) {
  const unsigned lead = byte_at(text, 0);
  if (lead < 0x80) return Character{lead, 1};
  const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const auto [low, high] = second_byte_after(lead);
  if (text.size() < size || byte_at(text, 1) < low || byte_at(text, 1) > high) return std::nullopt;
  char32_t code = lead & (0xFFu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte_at(text, i) & 0xC0) != 0x80) return std::nullopt;
    code = code << 6 | (byte_at(text, i) & 0x3F);
  }
  return Character{code, size};
}

// Calls `each(character, bytes)` for every character in order; the character is nullopt for a byte that is not UTF-8.
template <typename Each>
void for_each_character(std::string_view text, Each each) {
  while (!text.empty()) {
    const auto character = first_character(text);
    const std::size_t size = character ? character->size : 1;
    each(character, text.substr(0, size));
    text.remove_prefix(size);
  }
}

struct Range {
  char32_t first, last;
};
// What a terminal acts on, or shows as nothing. Sorted. From the general categories Cc, Zl, Zp, Cf (those that have no
// shape of their own) and the property Default_Ignorable_Code_Point; but for marks that change how a character before
// them looks.
constexpr std::array kInvisible{
    Range{0x0000, 0x001F},   Range{0x007F, 0x009F},    // C0, DEL, C1
    Range{0x00AD, 0x00AD},   Range{0x034F, 0x034F},    // soft hyphen, combining grapheme joiner
    Range{0x061C, 0x061C},   Range{0x115F, 0x1160},    // Arabic letter mark, Hangul fillers
    Range{0x17B4, 0x17B5},   Range{0x180B, 0x180F},    // Khmer inherent vowels, Mongolian separators
    Range{0x200B, 0x200F},   Range{0x2028, 0x202E},    // zero width, marks; separators, bidirectional embedding
    Range{0x2060, 0x206F},   Range{0x3164, 0x3164},    // word joiner, bidirectional isolates; Hangul filler
    Range{0xFE00, 0xFE0E},   Range{0xFEFF, 0xFEFF},    // variation selectors but the emoji one; byte order mark
    Range{0xFFA0, 0xFFA0},   Range{0xFFF0, 0xFFFB},    // half-width filler, annotation
    Range{0x1BCA0, 0x1BCA3}, Range{0x1D173, 0x1D17A},  // shorthand and musical format controls
    Range{0xE0000, 0xE0FFF},                           // tags, more variation selectors
};

bool is_invisible(char32_t code) {
  return std::ranges::any_of(kInvisible, [&](Range range) { return code >= range.first && code <= range.last; });
}

std::string hex_escape(char kind, char32_t value, int digits) {
  std::string out{'\\', kind};
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += "0123456789abcdef"[value >> shift & 0xF];
  return out;
}

std::string escape(char32_t code) {
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  if (code < 0x80) return hex_escape('x', code, 2);
  return code <= 0xFFFF ? hex_escape('u', code, 4) : hex_escape('U', code, 8);
}

bool is_lead_or_ascii(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

// The first `size` bytes or fewer, cut before a character. @pre UTF-8
std::string_view cut(std::string_view text, std::size_t size) {
  if (size >= text.size()) return text;
  while (size > 0 && !is_lead_or_ascii(text[size])) --size;
  return text.substr(0, size);
}

// Devices of DOS and Windows, with any extension. COM¹ and so on are devices too.
bool is_reserved_on_windows(std::string_view name) {
  std::string stem(name.substr(0, name.find('.')));
  while (!stem.empty() && stem.back() == ' ') stem.pop_back();
  std::ranges::transform(stem, stem.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  constexpr std::array<std::string_view, 6> kDevices{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
  if (std::ranges::find(kDevices, stem) != kDevices.end()) return true;
  if (!stem.starts_with("COM") && !stem.starts_with("LPT")) return false;
  constexpr std::array<std::string_view, 13> kPorts{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³"};
  return std::ranges::find(kPorts, std::string_view(stem).substr(3)) != kPorts.end();
}

void replace_trailing_dots_and_spaces(std::string& name) {
  for (auto c = name.rbegin(); c != name.rend() && (*c == '.' || *c == ' '); ++c) *c = '_';
}

// At most `max_bytes`, with the extension (up to 16 bytes) where there is room for a byte before it.
std::string shorten(const std::string& name, std::size_t max_bytes) {
  constexpr std::size_t kLongestExtension = 16;
  if (name.size() <= max_bytes) return name;
  const std::size_t dot = name.rfind('.');
  const std::size_t extension_size = dot == std::string::npos || dot == 0 ? 0 : name.size() - dot;
  const bool keep = extension_size <= kLongestExtension && extension_size < max_bytes;
  const std::string extension = keep ? name.substr(name.size() - extension_size) : "";
  const std::string_view stem =
      cut(std::string_view(name).substr(0, name.size() - extension.size()), max_bytes - extension.size());
  return (stem.empty() ? "_" : std::string(stem)) + extension;
}

}  // namespace

bool is_utf8(std::string_view text) {
  bool ok = true;
  for_each_character(text, [&](const auto& character, std::string_view) { ok = ok && character.has_value(); });
  return ok;
}

std::string escape_for_display(std::string_view text) {
  std::string out;
  for_each_character(text, [&](const auto& character, std::string_view bytes) {
    if (!character) {
      out += hex_escape('x', byte_at(bytes, 0), 2);
    } else if (is_invisible(character->code)) {
      out += escape(character->code);
    } else {
      out += bytes;
    }
  });
  return out;
}

std::string safe_file_name(std::string_view name, std::size_t max_bytes) {
  constexpr std::string_view kForbidden = R"(/\:*?"<>|)";
  std::string out;
  for_each_character(name, [&](const auto& character, std::string_view bytes) {
    const bool bad = !character || is_invisible(character->code) || kForbidden.find(bytes) != std::string_view::npos;
    out += bad ? "_" : bytes;
  });
  for (char& c : out) {
    if (c != '.' && c != '-') break;
    c = '_';
  }
  replace_trailing_dots_and_spaces(out);
  if (is_reserved_on_windows(out)) out.insert(out.begin(), '_');
  out = shorten(out, max_bytes);
  replace_trailing_dots_and_spaces(out);          // cutting may have laid one bare,
  if (is_reserved_on_windows(out)) out[0] = '_';  // or a device
  return out.empty() ? "_" : out;
}

std::string fold_for_search(std::string_view text) {
  std::string out;
  for_each_character(text, [&](const auto& character, std::string_view bytes) {
    const char32_t code = character ? character->code : 0;
    // macOS writes ё as е and a combining diaeresis.
    const bool after_ie = out.ends_with("е") || out.ends_with("Е");
    if (code == U'ё') {
      out += "е";
    } else if (code == U'Ё') {
      out += "Е";
    } else if (code != 0x0308 || !after_ie) {
      out += bytes;
    }
  });
  return out;
}

}  // namespace casevault
