#pragma once
#include <initializer_list>
#include <string>
#include <string_view>

namespace casevault {

// For pages that are made to be printed: no script, nothing remote.

using Markup = std::string_view;  ///< ours, goes out as it is; `{}` in it stands for a value

/// For text and attributes. @pre nothing that escape_for_display would escape
std::string escape_html(std::string_view text);
/// `values` stand in for `{}` in order; they are markup.
void put_markup(std::string& out, Markup markup, std::initializer_list<std::string_view> values);
/// What a page begins with, `<body>` included; browsers are told to run no script and to load nothing.
std::string page_head(Markup title, Markup style);
/// The text as a QR code; empty where it is too long for one.
std::string qr_svg(std::string_view text);

}  // namespace casevault
