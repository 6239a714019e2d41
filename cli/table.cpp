#include <algorithm>
#include <array>

#include "cli/commands/commands.h"

namespace casevault {
namespace {

std::vector<Command> make_table() {
  std::vector<Command> table;
  const auto add = [&](Command command) { table.push_back(std::move(command)); };
  const auto add_all = [&](std::vector<Command> group) { std::ranges::move(group, std::back_inserter(table)); };
  add(init_command());
  add(status_command());
  add_all(user_commands());
  add_all(case_commands());
  add(add_command());
  add(testimony_add_command());
  add(update_command());
  add_all(reading_commands());
  add(cat_command());
  add(export_command());
  add(search_command());
  add(withdraw_command());
  add_all(contact_commands());
  add(share_command());
  add(receive_command());
  add_all(audit_commands());
  add(verify_command());
  add_all(custody_commands());
  add_all(order_commands());
  add_all(recovery_commands());
  add_all(custodian_commands());
  add(unlock_command());
  add(lock_command());
  add(guard_command());
  add(panic_command());
  add(replicate_command());
  add(restore_command());
  add(completion_command());
  add(help_command());
  add(version_command());
  return table;
}

/// Optimal string alignment: insertions, deletions and changes of one byte, and swaps of two neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::span<const Command> commands() {
  static const std::vector<Command> table = make_table();
  return table;
}

std::span<const Option> global_options() {
  static constexpr std::array kOptions = {
      Option{"vault", "DIR", "the vault's folder; else CASEVAULT_DIR"},
      Option{"user", "NAME", "who you are; else CASEVAULT_USER, else the login name"},
      Option{"passphrase-file", "FILE", "the passphrase is the first line of FILE (/dev/fd/N works); else it is asked"},
      Option{"proxy", "HOST:PORT", "reach custodians through this SOCKS5 proxy, e.g. Tor's 127.0.0.1:9050"},
      Option{"json", nullptr, "results as one JSON object per line"},
      Option{"quiet", nullptr, "no notes and no progress bar; warnings and errors stay"},
      Option{"verbose", nullptr, "more detail"},
      Option{"yes", nullptr, "answer every confirmation with yes"},
      Option{"help", nullptr, "explain the command"},
  };
  return kOptions;
}

const Command* find_command(std::string_view name) {
  const auto found = std::ranges::find_if(commands(), [&](const Command& command) { return name == command.name; });
  return found == commands().end() ? nullptr : &*found;
}

std::string nearest_command(std::string_view name) {
  constexpr std::size_t kLongest = 40;  // bytes; no command is near that
  if (name.size() > kLongest) return {};
  std::string nearest;
  std::size_t best = name.size() <= 4 ? 2 : 3;  // at most one or two slips
  for (const Command& command : commands()) {
    const std::size_t distance = edit_distance(name, command.name);
    if (distance < best) {
      best = distance;
      nearest = command.name;
    }
  }
  return nearest;
}

const char* meaning_of(Errc status) {
  switch (status) {
    case Errc::kInternal:
      return "internal error, or standard output was closed";
    case Errc::kUsage:
      return "wrong usage, or a confirmation was not given; nothing was done";
    case Errc::kPartial:
      return "partly done, the rest was named";
    case Errc::kNoVault:
      return "no vault here, or one of a newer format";
    case Errc::kBusy:
      return "busy: another process holds it";
    case Errc::kWrongPassphrase:
      return "wrong passphrase or user";
    case Errc::kNotAllowed:
      return "not allowed";
    case Errc::kNotFound:
      return "no such case, record, user or contact";
    case Errc::kDamaged:
      return "damaged or forged data, named";
    case Errc::kAuditUnavailable:
      return "the audit log cannot be written, so access is refused";
    case Errc::kCustodiansRefused:
      return "custodians refused (locked, burned, too many tries)";
    case Errc::kTooFewCustodians:
      return "too few custodians reachable";
    case Errc::kDestroyed:
      return "this vault was destroyed";
    case Errc::kNoSpace:
      return "no space left";
    case Errc::kInterrupted:
      return "interrupted";
  }
  return "unknown";
}

}  // namespace casevault
