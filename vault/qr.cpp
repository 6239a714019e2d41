#include "vault/qr.h"

#include <qrencode.h>

#include <memory>
#include <string>

namespace casevault {
namespace {

struct Free {
  void operator()(QRcode* code) const { QRcode_free(code); }
};
using Encoded = std::unique_ptr<QRcode, Free>;

Encoded encode(const std::string& text) {
  for (const QRecLevel level : {QR_ECLEVEL_M, QR_ECLEVEL_L}) {
    if (Encoded code{QRcode_encodeString8bit(text.c_str(), 0, level)}) return code;
  }
  return nullptr;
}

}  // namespace

std::optional<QrCode> QrCode::of(std::string_view text) {
  const Encoded code = encode(std::string(text));
  if (!code) return std::nullopt;
  std::vector<bool> dark(static_cast<std::size_t>(code->width) * static_cast<std::size_t>(code->width));
  for (std::size_t i = 0; i < dark.size(); ++i) dark[i] = (code->data[i] & 1) != 0;
  return QrCode(code->width, std::move(dark));
}

bool QrCode::is_dark(int x, int y) const {
  const bool inside = x >= 0 && y >= 0 && x < width_ && y < width_;
  return inside && dark_[static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x)];
}

}  // namespace casevault
