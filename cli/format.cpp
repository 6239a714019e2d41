#include "cli/format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <iomanip>
#include <sstream>

namespace casevault {
namespace {

using std::chrono::milliseconds;
using std::chrono::sys_days;
using std::chrono::sys_time;

struct Parts {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
};

Parts parts_of(std::int64_t ms) {
  const sys_time<milliseconds> time{milliseconds(ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          static_cast<unsigned>(clock.hours().count()),
          static_cast<unsigned>(clock.minutes().count()),
          static_cast<unsigned>(clock.seconds().count()),
          static_cast<unsigned>(clock.subseconds().count())};
}

std::string padded(unsigned number, std::size_t width) {
  const std::string digits = std::to_string(number);
  return std::string(width - std::min(width, digits.size()), '0') + digits;
}
std::string date_text(const Parts& t) {
  return padded(static_cast<unsigned>(t.year), 4) + "-" + padded(t.month, 2) + "-" + padded(t.day, 2);
}
std::string clock_text(const Parts& t) {
  return padded(t.hour, 2) + ":" + padded(t.minute, 2) + ":" + padded(t.second, 2);
}

/// The number that all of `digits` make; nullopt for anything else than `count` digits.
std::optional<int> number_of(std::string_view digits, std::size_t count) {
  if (digits.size() != count || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  int value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::optional<sys_days> parse_day(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = number_of(text.substr(0, 4), 4), month = number_of(text.substr(5, 2), 2),
             day = number_of(text.substr(8, 2), 2);
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return sys_days(date);
}

/// Milliseconds since midnight of `hh:mm` or `hh:mm:ss`.
std::optional<std::int64_t> parse_clock(std::string_view text) {
  const bool with_seconds = text.size() == 8 && text[5] == ':';
  if ((text.size() != 5 && !with_seconds) || text[2] != ':') return std::nullopt;
  const auto hour = number_of(text.substr(0, 2), 2), minute = number_of(text.substr(3, 2), 2),
             second = with_seconds ? number_of(text.substr(6, 2), 2) : 0;
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  return ((*hour * 60 + *minute) * 60 + *second) * std::int64_t{1000};
}

struct CodeRange {
  char32_t first, last;
};
// Combining marks of the scripts that names are written in (Unicode 15, general categories Mn and Me).
constexpr std::array kZeroWidth = {
    CodeRange{0x300, 0x36F},   CodeRange{0x483, 0x489},   CodeRange{0x591, 0x5BD},   CodeRange{0x5BF, 0x5BF},
    CodeRange{0x5C1, 0x5C2},   CodeRange{0x5C4, 0x5C5},   CodeRange{0x610, 0x61A},   CodeRange{0x64B, 0x65F},
    CodeRange{0x670, 0x670},   CodeRange{0x6D6, 0x6DC},   CodeRange{0x6DF, 0x6E4},   CodeRange{0x6E7, 0x6E8},
    CodeRange{0x6EA, 0x6ED},   CodeRange{0x1AB0, 0x1AFF}, CodeRange{0x1DC0, 0x1DFF}, CodeRange{0x20D0, 0x20FF},
    CodeRange{0xFE00, 0xFE0F}, CodeRange{0xFE20, 0xFE2F},
};
// East Asian Width W and F (UAX 11), the blocks as a whole.
constexpr std::array kDoubleWidth = {
    CodeRange{0x1100, 0x115F},   CodeRange{0x2E80, 0x303E},   CodeRange{0x3041, 0xA4CF},   CodeRange{0xAC00, 0xD7A3},
    CodeRange{0xF900, 0xFAFF},   CodeRange{0xFE30, 0xFE6F},   CodeRange{0xFF00, 0xFF60},   CodeRange{0xFFE0, 0xFFE6},
    CodeRange{0x1F300, 0x1F64F}, CodeRange{0x1F680, 0x1F6FF}, CodeRange{0x1F900, 0x1F9FF}, CodeRange{0x20000, 0x3FFFD},
};

bool is_in(std::span<const CodeRange> ranges, char32_t c) {
  return std::ranges::any_of(ranges, [c](const CodeRange& range) { return range.first <= c && c <= range.last; });
}

}  // namespace

std::string time_for_people(std::int64_t ms) {
  const Parts t = parts_of(ms);
  return date_text(t) + " " + clock_text(t) + " UTC";
}

std::string time_and_age(std::int64_t ms, std::int64_t now_ms) {
  constexpr std::int64_t kMinuteMs = 60'000;
  const auto minutes = static_cast<std::uint64_t>(std::max<std::int64_t>(now_ms - ms, 0) / kMinuteMs);
  std::string age = "just now";
  if (minutes >= 2 * 24 * 60) {
    age = count_of(minutes / (24 * 60), "day", "days") + " ago";
  } else if (minutes >= 2 * 60) {
    age = count_of(minutes / 60, "hour", "hours") + " ago";
  } else if (minutes > 0) {
    age = count_of(minutes, "minute", "minutes") + " ago";
  }
  return time_for_people(ms) + ", " + age;
}

std::string iso_time(std::int64_t ms) {
  const Parts t = parts_of(ms);
  return date_text(t) + "T" + clock_text(t) + "." + padded(t.ms, 3) + "Z";
}

std::string iso_time_or_empty(std::int64_t ms) { return ms == 0 ? std::string() : iso_time(ms); }

bool is_date(std::string_view text) { return parse_day(text).has_value(); }

std::optional<std::int64_t> parse_time(std::string_view text) {
  const auto day = parse_day(text.substr(0, 10));
  if (!day) return std::nullopt;
  const std::int64_t midnight = std::chrono::duration_cast<milliseconds>(day->time_since_epoch()).count();
  text.remove_prefix(10);
  if (text.empty()) return midnight;
  if (text.front() != 'T' && text.front() != ' ') return std::nullopt;
  text.remove_prefix(1);
  if (text.ends_with('Z')) text.remove_suffix(1);
  const auto clock = parse_clock(text);
  if (!clock) return std::nullopt;
  return midnight + *clock;
}

std::string size_for_people(std::uint64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  constexpr std::array kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::ostringstream text;
  text << std::fixed << std::setprecision(value < 9.95 ? 1 : 0) << value << " " << kUnits[unit];
  return text.str();
}

std::string count_of(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string shell_word(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           static_cast<unsigned char>(c) >= 0x80 || std::string_view("-_./:@%+,").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, is_plain)) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<ByteRange> parse_range(std::string_view text) {
  const char* const end = text.data() + text.size();
  ByteRange range;
  const auto [dash, error] = std::from_chars(text.data(), end, range.first);
  if (error != std::errc{} || dash == end || *dash != '-') return std::nullopt;
  if (dash + 1 == end) return range;
  std::uint64_t last = 0;
  const auto [stop, last_error] = std::from_chars(dash + 1, end, last);
  if (last_error != std::errc{} || stop != end || last < range.first) return std::nullopt;
  range.last = last;
  return range;
}

std::size_t display_width(std::string_view utf8) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i]);
    const std::size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t c = length == 1 ? lead : lead & (0xFFu >> (length + 1));
    for (std::size_t k = 1; k < length && i + k < utf8.size(); ++k) {
      c = (c << 6) | (static_cast<unsigned char>(utf8[i + k]) & 0x3Fu);
    }
    width += is_in(kZeroWidth, c) ? 0 : is_in(kDoubleWidth, c) ? 2 : 1;
    i += length;
  }
  return width;
}

}  // namespace casevault
