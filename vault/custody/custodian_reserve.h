#pragma once
#include "vault/storage/file.h"

namespace casevault::custodian {

/// The file `reserve`: space on the disk for what has to be taken on a full one too, orders and what follows from them.
class Reserve {
 public:
  static constexpr std::uint64_t kSize = 8u << 20;  // bytes: an order writes some tens of thousands
  explicit Reserve(const Path& data) : path_(data / "reserve") {}

  /// Takes the space, or as much as there is of it. False when that is not all.
  bool fill();
  /// Gives the space to whoever writes next.
  void release();

 private:
  bool take(std::uint64_t size);
  Path path_;
  bool is_whole_ = false;
};

}  // namespace casevault::custodian
