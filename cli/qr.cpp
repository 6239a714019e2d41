#include "cli/qr.h"

#include <qrencode.h>

#include <memory>

namespace casevault {
namespace {

constexpr int kQuietZone = 2;  // modules; the standard wants 4, readers are content with 2

struct Free {
  void operator()(QRcode* code) const { QRcode_free(code); }
};

bool is_dark(const QRcode& code, int x, int y) {
  const bool inside = x >= 0 && y >= 0 && x < code.width && y < code.width;
  return inside && (code.data[y * code.width + x] & 1) != 0;
}

}  // namespace

std::string qr_code(std::string_view text) {
  const std::unique_ptr<QRcode, Free> code(QRcode_encodeString8bit(std::string(text).c_str(), 0, QR_ECLEVEL_M));
  if (!code) return {};
  std::string lines;
  for (int y = -kQuietZone; y < code->width + kQuietZone; y += 2) {
    lines += "\x1b[30;107m";  // black on bright white, whatever the terminal's own colours
    for (int x = -kQuietZone; x < code->width + kQuietZone; ++x) {
      const bool upper = is_dark(*code, x, y);
      const bool lower = is_dark(*code, x, y + 1);
      lines += upper ? (lower ? "█" : "▀") : (lower ? "▄" : " ");
    }
    lines += "\x1b[0m\n";
  }
  return lines;
}

}  // namespace casevault
