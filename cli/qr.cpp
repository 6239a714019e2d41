#include "cli/qr.h"

#include "vault/qr.h"

namespace casevault {
namespace {

constexpr int kQuietZone = 2;  // modules; the standard wants 4, readers are content with 2

}  // namespace

std::string qr_code(std::string_view text) {
  const auto code = QrCode::of(text);
  if (!code) return {};
  std::string lines;
  for (int y = -kQuietZone; y < code->width() + kQuietZone; y += 2) {
    lines += "\x1b[30;107m";  // black on bright white, whatever the terminal's own colours
    for (int x = -kQuietZone; x < code->width() + kQuietZone; ++x) {
      const bool upper = code->is_dark(x, y);
      const bool lower = code->is_dark(x, y + 1);
      lines += upper ? (lower ? "█" : "▀") : (lower ? "▄" : " ");
    }
    lines += "\x1b[0m\n";
  }
  return lines;
}

}  // namespace casevault
