#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vault/records/reading.h"

namespace casevault {

// How times and sizes are written and read. All times are UTC; the words say so.

std::string time_for_people(std::int64_t ms);  ///< "2026-11-22 13:58:31 UTC"
/// The same with how long ago it was: "…, 5 minutes ago"; of a clock that is ahead, "just now".
std::string time_and_age(std::int64_t ms, std::int64_t now_ms);
std::string iso_time(std::int64_t ms);           ///< "2026-11-22T13:58:31.250Z"
std::string iso_time_or_empty(std::int64_t ms);  ///< empty for 0, which stands for "none"

/// A real day of the Gregorian calendar as YYYY-MM-DD.
bool is_date(std::string_view text);
/// `YYYY-MM-DD` (its beginning), `YYYY-MM-DDThh:mm` or `YYYY-MM-DDThh:mm:ss`, a space for the T, a `Z` or nothing
/// behind; always UTC.
std::optional<std::int64_t> parse_time(std::string_view text);

std::string size_for_people(std::uint64_t bytes);  ///< "0 B", "999 B", "1.2 kB", "300 MB": powers of 1000
std::string count_of(std::uint64_t count, const char* one, const char* many);  ///< "1 file", "2 files"

/// Decimal digits and nothing else.
std::optional<std::uint64_t> parse_number(std::string_view text);

/// `text` as one word of a shell, in quotes where it needs them: for hints, which are typed as they stand.
std::string shell_word(std::string_view text);

/// `A-B` (both included), `A-` (to the end) or nullopt; B must not be less than A.
std::optional<ByteRange> parse_range(std::string_view text);

/// Columns that `text` takes on a terminal: combining marks none, East Asian wide characters two.
std::size_t display_width(std::string_view utf8);

}  // namespace casevault
