#pragma once
#include <array>
#include <cstddef>
#include <string_view>

namespace casevault {

inline constexpr std::size_t kSlip39WordCount = 1024;

/// Sorted; 4 to 8 letters, no two alike in the first four.
extern const std::array<std::string_view, kSlip39WordCount> kSlip39Words;

}  // namespace casevault
