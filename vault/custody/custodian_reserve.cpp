#include "vault/custody/custodian_reserve.h"

namespace casevault::custodian {
namespace {

constexpr std::uint64_t kLeast = 256u << 10;  // bytes: less is not worth a file

}  // namespace

bool Reserve::fill() {
  for (auto size = kSize; !is_whole_ && size >= kLeast; size /= 2) {
    if (!take(size)) continue;
    is_whole_ = size == kSize;
    break;
  }
  return is_whole_;
}

void Reserve::release() {
  is_whole_ = false;
  remove_file(path_);
}

bool Reserve::take(std::uint64_t size) {
  release();
  try {
    File::create_new(path_).allocate(size);
    return true;
  } catch (const Error& error) {
    if (error.code() != Errc::kNoSpace) throw;
    release();
    return false;
  }
}

}  // namespace casevault::custodian
