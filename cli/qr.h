#pragma once
#include <string>
#include <string_view>

namespace casevault {

/// A QR code (vault/qr.h) of the text as lines of half blocks, dark on light, for a terminal;
/// empty when the text is too long for one.
std::string qr_code(std::string_view text);

}  // namespace casevault
