#include "vault/html.h"

#include "vault/qr.h"

namespace casevault {
namespace {

constexpr int kQuietZone = 4;  // modules, as the standard wants it

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void put_markup(std::string& out, Markup markup, std::initializer_list<std::string_view> values) {
  for (const auto value : values) {
    const auto at = markup.find("{}");
    out.append(markup.substr(0, at)).append(value);
    markup.remove_prefix(at + 2);
  }
  out += markup;
}

std::string page_head(Markup title, Markup style) {
  std::string out;
  put_markup(out, R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="referrer" content="no-referrer"/>
<title>{}</title>
<style>
{}</style>
</head>
<body>
)",
             {title, style});
  return out;
}

namespace {

/// The dark modules of a row as one bar for each run of them.
void put_row(std::string& out, const QrCode& code, int y) {
  for (int x = 0; x < code.width(); ++x) {
    if (!code.is_dark(x, y)) continue;
    const int begin = x;
    while (code.is_dark(x, y)) ++x;
    const std::string length = std::to_string(x - begin);
    put_markup(out, "M{} {}h{}v1h-{}z", {std::to_string(begin), std::to_string(y), length, length});
  }
}

}  // namespace

std::string qr_svg(std::string_view text) {
  const auto code = QrCode::of(text);
  if (!code) return "";
  const std::string first = std::to_string(-kQuietZone);
  const std::string size = std::to_string(code->width() + 2 * kQuietZone);
  std::string out;
  put_markup(
      out,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{} {} {} {}\" shape-rendering=\"crispEdges\"><path d=\"",
      {first, first, size, size});
  for (int y = 0; y < code->width(); ++y) put_row(out, *code, y);
  return out + "\"/></svg>\n";
}

}  // namespace casevault
