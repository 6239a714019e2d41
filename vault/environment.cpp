#include "vault/environment.h"

#include "crypto/error.h"

namespace casevault {

void stop_if_interrupted(const Environment& environment) {
  if (environment.interrupted && environment.interrupted()) throw Error(Errc::kInterrupted, "interrupted");
}

}  // namespace casevault
