#include <fcntl.h>
#include <poll.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "vault/raid/triggers.h"

namespace casevault {
namespace {

constexpr const char* kService = "org.freedesktop.login1";
constexpr const char* kManagerPath = "/org/freedesktop/login1";
constexpr const char* kManager = "org.freedesktop.login1.Manager";
constexpr const char* kSession = "org.freedesktop.login1.Session";
constexpr const char* kSessionPaths = "/org/freedesktop/login1/session";

/// Whether the session that an object of logind stands for is of another user. What is not known counts as ours:
/// locking once too often does no harm.
bool is_of_another_user(const char* object) {
  char* id = nullptr;
  uid_t owner = geteuid();
  if (sd_bus_path_decode(object, kSessionPaths, &id) > 0) {
    if (sd_session_get_uid(id, &owner) < 0) owner = geteuid();
    std::free(id);
  }
  return owner != geteuid();
}

}  // namespace

/// What the bus calls.
struct LogindReplies {
  static int sleep(sd_bus_message* message, void* self, sd_bus_error* /*error*/) {
    auto& logind = *static_cast<Logind*>(self);
    int begins = 0;
    if (sd_bus_message_read(message, "b", &begins) < 0) return 0;
    if (begins != 0) {
      logind.demand_ = Demand{Demand::Kind::kLock, "the machine goes to sleep", {}};
    } else {
      logind.delay_sleep();  // the next time
    }
    return 0;
  }

  static int lock(sd_bus_message* message, void* self, sd_bus_error* /*error*/) {
    const char* object = sd_bus_message_get_path(message);
    if (!object || is_of_another_user(object)) return 0;
    static_cast<Logind*>(self)->demand_ = Demand{Demand::Kind::kLock, "the screen was locked", {}};
    return 0;
  }

  static int subscribed(sd_bus_message* message, void* self, sd_bus_error* /*error*/) {
    if (sd_bus_message_is_method_error(message, nullptr) > 0) static_cast<Logind*>(self)->failed_ = true;
    return 0;
  }

  static int inhibited(sd_bus_message* message, void* self, sd_bus_error* /*error*/) {
    auto& logind = *static_cast<Logind*>(self);
    int lent = -1;
    if (sd_bus_message_is_method_error(message, nullptr) > 0) {
      // Nobody by the name of logind is there at all; else sleep is only not held up.
      const sd_bus_error* error = sd_bus_message_get_error(message);
      logind.failed_ = sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) > 0 ||
                       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) > 0;
      return 0;
    }
    if (sd_bus_message_read(message, "h", &lent) >= 0) logind.inhibitor_ = OwnedFd(fcntl(lent, F_DUPFD_CLOEXEC, 0));
    return 0;
  }
};

// libsystemd fails by negative numbers of errno; nothing here waits for the bus.
Logind::Logind(std::function<void(const std::string&)> absent) : absent_(std::move(absent)) {
  if (sd_bus_open_system(&bus_) < 0) {
    give_up("there is no system bus");
  } else if (!subscribe()) {
    give_up("the system bus does not listen");
  } else {
    delay_sleep();
  }
}

Logind::~Logind() {
  if (bus_) sd_bus_close_unref(bus_);
}

bool Logind::subscribe() {
  return sd_bus_match_signal_async(bus_, nullptr, kService, kManagerPath, kManager, "PrepareForSleep",
                                   LogindReplies::sleep, LogindReplies::subscribed, this) >= 0 &&
         sd_bus_match_signal_async(bus_, nullptr, kService, nullptr, kSession, "Lock", LogindReplies::lock,
                                   LogindReplies::subscribed, this) >= 0;
}

void Logind::delay_sleep() {
  sd_bus_call_method_async(bus_, nullptr, kService, kManagerPath, kManager, "Inhibit", LogindReplies::inhibited, this,
                           "ssss", "sleep", "casevault", "a vault is locked before sleep", "delay");
}

void Logind::give_up(const std::string& why) {
  if (bus_) bus_ = sd_bus_close_unref(bus_);
  inhibitor_.close();
  if (absent_) absent_(why + ": sleep and a locked screen do not lock the vault");
  absent_ = nullptr;
}

int Logind::descriptor() const { return bus_ ? sd_bus_get_fd(bus_) : -1; }

short Logind::events() const {
  const int events = bus_ ? sd_bus_get_events(bus_) : 0;
  return static_cast<short>(events < 0 ? POLLIN : events);
}

int Logind::timeout_ms() const {
  std::uint64_t when = 0;  // microseconds of CLOCK_MONOTONIC
  if (!bus_ || sd_bus_get_timeout(bus_, &when) <= 0 || when == UINT64_MAX) return -1;
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto now_us =
      static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
  return when <= now_us ? 0 : static_cast<int>(std::min<std::uint64_t>((when - now_us) / 1000 + 1, 60'000));
}

std::optional<Demand> Logind::check() {
  int more = bus_ ? 1 : 0;
  while (more > 0 && !demand_) more = sd_bus_process(bus_, nullptr);
  if (more < 0) give_up("the system bus went away");
  if (failed_) give_up("there is no logind");
  failed_ = false;
  return std::exchange(demand_, std::nullopt);
}

void Logind::locked() { inhibitor_.close(); }

}  // namespace casevault
