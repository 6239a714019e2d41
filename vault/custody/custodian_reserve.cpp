#include "vault/custody/custodian_reserve.h"

namespace casevault::custodian {
namespace {

File open_or_create(const Path& path) {
  auto file = File::open_for_update(path);
  return file ? *std::move(file) : File::create_new(path);
}

}  // namespace

bool Reserve::fill() {
  if (is_whole_) return true;
  try {
    open_or_create(path_).allocate(kSize);
    is_whole_ = true;
  } catch (const Error& error) {
    if (error.code() != Errc::kNoSpace) throw;
    release();
  }
  return is_whole_;
}

void Reserve::release() {
  is_whole_ = false;
  remove_file(path_);
}

}  // namespace casevault::custodian
