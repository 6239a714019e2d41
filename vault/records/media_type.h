#pragma once
#include <string>
#include <string_view>

#include "crypto/bytes.h"

namespace casevault {

/// At most this many of the first bytes are looked at.
inline constexpr std::size_t kMediaTypeProbeSize = 4096;

/// The media type of a file, by its first bytes, and by the name where those say too little (office documents are ZIP
/// files). Text that is UTF-8 is text/plain, or what the extension says of it. "application/octet-stream" when nothing
/// is known. Names nothing that the first bytes contradict.
std::string guess_media_type(std::string_view name, ByteView first_bytes);

/// UTF-8 without control characters other than white space. `is_cut`: the text goes on, so that the last character may
/// be incomplete.
bool is_plain_text(ByteView bytes, bool is_cut);

}  // namespace casevault
