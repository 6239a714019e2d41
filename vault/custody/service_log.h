#pragma once
#include <string>
#include <string_view>

#include "crypto/bytes.h"

namespace casevault::service_log {

// What an operator reads, on standard error, times in UTC. Never a body, a signature, an id beyond the first 8 digits
// of a vault's, and no address of a peer but in `abuse`. Any thread.

void open();
void info(std::string_view text);
void warning(std::string_view text);
void failure(std::string_view text);
/// At most one line a minute of each `kind`, with how many were left out: a flood must not fill the disk with its log.
void abuse(std::string_view kind, std::string_view peer);
/// The first 8 digits of a vault's id.
std::string short_id(const ByteArray<16>& vault);

}  // namespace casevault::service_log
