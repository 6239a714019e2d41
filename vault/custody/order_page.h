#pragma once
#include <string_view>

namespace casevault {

// The page /order of a custodian: docs/orders.md. One HTML document with everything inline; it signs in the browser and
// speaks only to where it came from.

/// UTF-8, `text/html`. The same for every custodian.
std::string_view order_page_html();
/// The value of `Content-Security-Policy` that it must be sent with: nothing but its own style and script, by hash.
std::string_view order_page_csp();

}  // namespace casevault
