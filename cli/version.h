#pragma once

namespace casevault {

inline constexpr const char* kVersion = CASEVAULT_VERSION;

}  // namespace casevault
