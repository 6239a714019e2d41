#pragma once
#include <optional>
#include <string_view>
#include <vector>

namespace casevault {

/// A QR code (ISO/IEC 18004) as a square of modules, without the quiet zone around it.
class QrCode {
 public:
  /// Error correction M, or L where M has no room; nullopt when the text is too long for either (2,953 bytes).
  static std::optional<QrCode> of(std::string_view text);
  int width() const { return width_; }  // modules, as is the height
  /// False outside of the square, so that a quiet zone needs no case of its own.
  bool is_dark(int x, int y) const;

 private:
  QrCode(int width, std::vector<bool> dark) : width_(width), dark_(std::move(dark)) {}
  int width_;
  std::vector<bool> dark_;  // row by row
};

}  // namespace casevault
