#include "vault/custody/service_log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <map>
#include <mutex>

namespace casevault::service_log {
namespace {

using Clock = std::chrono::steady_clock;

spdlog::logger& logger() {
  static spdlog::logger log("custodian", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  return log;
}

struct Recent {
  Clock::time_point said{};
  std::size_t left_out = 0;
};

/// How many were left out since the last line of this kind; nullopt when it is too early for another.
std::optional<std::size_t> may_say(std::string_view kind) {
  static std::mutex mutex;
  static std::map<std::string, Recent, std::less<>> kinds;
  const std::lock_guard lock(mutex);
  const auto now = Clock::now();
  const auto [found, is_new] = kinds.try_emplace(std::string(kind));
  Recent& recent = found->second;
  if (!is_new && now - recent.said < std::chrono::minutes(1)) {
    ++recent.left_out;
    return std::nullopt;
  }
  recent.said = now;
  return std::exchange(recent.left_out, 0);
}

}  // namespace

void open() {
  // UTC also because the time zone's file is out of reach once the sandbox is on.
  logger().set_pattern("%Y-%m-%dT%H:%M:%SZ %l: %v", spdlog::pattern_time_type::utc);
  logger().flush_on(spdlog::level::info);
}

void info(std::string_view text) { logger().info("{}", text); }
void warning(std::string_view text) { logger().warn("{}", text); }
void failure(std::string_view text) { logger().critical("{}", text); }

void abuse(std::string_view kind, std::string_view peer) {
  const auto left_out = may_say(kind);
  if (!left_out) return;
  if (*left_out == 0) {
    logger().warn("{}: {}", peer, kind);
  } else {
    logger().warn("{}: {} ({} more of this kind since the last line)", peer, kind, *left_out);
  }
}

std::string short_id(const ByteArray<16>& vault) { return to_hex(vault).substr(0, 8); }

}  // namespace casevault::service_log
