#pragma once
#include <string_view>

namespace casevault {

// The files in vault/custody/page as they stand, put into the program by vault/CMakeLists.txt.
extern const std::string_view kOrderPageHtml;  // with {style} and {script} where the others belong
extern const std::string_view kOrderPageStyle;
extern const std::string_view kOrderPageScript;

}  // namespace casevault
