#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <set>

#include "crypto/hash.h"

namespace casevault {

/// What single custodians tell a guard, weighed, so that none of them can lock or destroy by its word alone. Orders are
/// told of here only after their cards' signatures were checked. Custodians are named by their places in the plan. For
/// many threads.
class Hearsay {
 public:
  enum class Verdict { kNothing, kLock, kDestroy };

  Hearsay(std::size_t custodians, std::size_t threshold) : custodians_(custodians), threshold_(threshold) {}

  /// An order to destroy the whole vault is done there. In force, one custodian is enough. Past its time it may be one
  /// that was called off, or that nobody but this custodian has ever seen; or the clock here is wrong. So it locks, and
  /// destroys once as many say so as could open the vault together.
  Verdict destroyed_there(std::size_t custodian, const Sha256Digest& order, bool is_in_force);

  /// Without a signature: that the vault, or this machine, is refused there. Locks once so many say so that the others
  /// are too few to open anything.
  Verdict refused_there(std::size_t custodian);
  /// It is not, or not any more.
  void open_there(std::size_t custodian);

 private:
  std::mutex mutex_;
  std::size_t custodians_;
  std::size_t threshold_;
  std::map<Sha256Digest, std::set<std::size_t>> done_at_;
  std::set<std::size_t> refused_by_;
};

}  // namespace casevault
