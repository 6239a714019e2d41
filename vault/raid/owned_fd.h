#pragma once
#include <unistd.h>

#include <utility>

namespace casevault {

/// A descriptor that is closed when its owner goes. -1: none.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int number) : number_(number) {}
  OwnedFd(OwnedFd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~OwnedFd() { close(); }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  void close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }

 private:
  int number_ = -1;
};

}  // namespace casevault
