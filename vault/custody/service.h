#pragma once
#include <functional>
#include <string>

#include "vault/custody/custodian.h"
#include "vault/custody/peer_limits.h"
#include "vault/environment.h"

namespace casevault {

struct ServiceSettings {
  std::string listen;       // HOST:PORT; port 0: any that is free; an IPv6 address in brackets
  ServeSettings custodian;  // address empty: the one listened on, unless that means every address of the machine
  ServiceLimits limits;
};

/// A custodian's service over HTTPS (docs/custody-protocol.md section 2), until SIGTERM, SIGINT or SIGHUP: then it
/// takes no more connections, answers the long polls, finishes and commits what is queued, and returns. `listening` is
/// called once, when connections are taken. Logs to standard error.
/// @throws Error: kUsage, kNotAllowed or kBusy when it cannot listen; what Custodian::open and Custodian::commit throw:
/// then nothing was answered that is not on the disk.
void serve_custodian(const Path& data, const ServiceSettings& settings, const Environment& environment,
                     const std::function<void(const Custodian::Identity&)>& listening);

}  // namespace casevault
