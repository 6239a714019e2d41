#include "cli/commands/intake_report.h"

#include <algorithm>

#include "cli/json.h"

namespace casevault {

void print_added(Invocation& call, const Added& added) {
  if (call.json()) {
    call.out().object(to_json(added));
  } else if (added.already_there) {
    call.out().line(added.name + ": already here as " + added.object);
  } else {
    const std::string version = added.version > 1 ? "  version " + std::to_string(added.version) : "";
    call.out().line(added.object + version + "  " + added.name);
  }
}

IntakeObserver intake_observer(Invocation& call, const char* what) {
  return {
      .added = [&call](const Added& added) { print_added(call, added); },
      .skipped = [&call](const std::string& name,
                         const std::string& why) { call.out().warning("skipped " + name + ": " + why); },
      .progress = [&call, what](std::uint64_t done, std::uint64_t total) { call.out().progress(what, done, total); },
  };
}

bool is_media_type(std::string_view text) {
  const auto is_name = [](std::string_view name) {
    const auto fits = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view("!#$&-^_.+").find(c) != std::string_view::npos;
    };
    return !name.empty() && name.size() <= 127 && std::ranges::all_of(name, fits);
  };
  const std::size_t slash = text.find('/');
  return slash != text.npos && is_name(text.substr(0, slash)) && is_name(text.substr(slash + 1));
}

}  // namespace casevault
