#pragma once
#include <string>
#include <string_view>

namespace casevault {

/// Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// For showing on a terminal: control characters (C0, C1, DEL), bidirectional controls, zero-width characters, line
/// separators and bytes that are not UTF-8 become visible escapes (`\n`, `\x1b`, `\u202e`). Cyrillic, Arabic and the
/// like pass.
std::string escape_for_display(std::string_view text);

/// A name that is safe as one path component on Linux, and on the FAT and NTFS sticks people carry: what
/// escape_for_display would escape, `/ \ : * ? " < > |`, leading `.` and `-`, trailing dots and spaces become `_`;
/// reserved names (CON, NUL, …) get a `_`; at most `max_bytes` bytes, cut between characters, the extension kept; never
/// empty.
std::string safe_file_name(std::string_view name, std::size_t max_bytes = 200);

/// What goes to the full-text index and into queries: the same text with Russian ё as е (the index folds case itself).
std::string fold_for_search(std::string_view text);

}  // namespace casevault
