#pragma once
#include "vault/storage/file.h"

namespace casevault::custodian {

/// The file `reserve`: space on the disk for what has to be taken on a full one too, orders and what follows from them.
/// While it is not whole, nothing else is taken.
class Reserve {
 public:
  static constexpr std::uint64_t kSize = 8u << 20;  // bytes: an order writes some tens of thousands
  explicit Reserve(const Path& data) : path_(data / "reserve") {}

  bool is_whole() const { return is_whole_; }
  /// Takes the space. False when it is not there.
  bool fill();
  /// Gives the space to others.
  void release();

 private:
  Path path_;
  bool is_whole_ = false;
};

}  // namespace casevault::custodian
