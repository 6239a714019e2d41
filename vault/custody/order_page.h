#pragma once
#include <string_view>

namespace casevault {

// The page that a custodian serves for phones, compiled in.
inline std::string_view order_page_html() { return "<!doctype html><title>casevault</title>"; }
inline std::string_view order_page_csp() { return "default-src 'none'"; }

}  // namespace casevault
