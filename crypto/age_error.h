#pragma once
#include "crypto/error.h"

namespace casevault {

/// Which part of an age file is at fault.
enum class AgeFault {
  kArmor,    ///< the ASCII armor is not well-formed
  kHeader,   ///< the header is not well-formed, or breaks a rule of a recipient type
  kNoMatch,  ///< well-formed, but not for any of the identities
  kMac,      ///< the header was changed after it was written
  kPayload,  ///< the payload was changed, reordered, cut off or lengthened
};

/// What reading an age file throws. Code kDamaged; for kNoMatch it is kWrongPassphrase or kNotAllowed.
class AgeError : public Error {
 public:
  AgeError(AgeFault fault, const std::string& message) : AgeError(fault, Errc::kDamaged, message) {}
  AgeError(AgeFault fault, Errc code, const std::string& message, std::string hint = {})
      : Error(code, "age file: " + message, std::move(hint)), fault_(fault) {}
  AgeFault fault() const noexcept { return fault_; }

 private:
  AgeFault fault_;
};

}  // namespace casevault
