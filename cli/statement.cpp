#include "cli/statement.h"

#include "cli/format.h"
#include "cli/json.h"
#include "cli/session.h"

namespace casevault {
namespace {

constexpr std::int64_t kDayMs = 24 * 3600 * 1000LL;

std::int64_t parse_moment(Invocation& call, const char* option) {
  const std::string text = *call.value(option);
  const auto time = parse_time(text);
  if (!time)
    throw Error(Errc::kUsage, "'" + text + "' is not a time", "write it as 2026-11-22 or 2026-11-22T09:30:00Z");
  return *time;
}

std::vector<std::string> names_of(const std::vector<std::int64_t>& cases) {
  std::vector<std::string> names;
  for (const auto number : cases) names.push_back(case_name(number));
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void print_entries(Invocation& call, const CustodyStatement& statement) {
  Table table({{"TIME"}, {"CUSTODIAN"}, {"WHAT"}, {"OBJECT"}, {"DEVICE"}, {"OUTCOME"}});
  for (const auto& entry : statement.entries) {
    if (call.json()) {
      call.out().object({{"time", iso_time(entry.time_ms)},
                         {"custodian", entry.custodian},
                         {"action", entry.action},
                         {"object", entry.object},
                         {"device", entry.device},
                         {"outcome", entry.outcome}});
      continue;
    }
    table.add(
        {time_for_people(entry.time_ms), entry.custodian, entry.action, entry.object, entry.device, entry.outcome});
  }
  table.print(call.out());
}

void print_sum(Invocation& call, const Interval& interval, const CustodyStatement& statement) {
  const auto released = names_of(statement.cases_released);
  if (call.json()) {
    call.out().object({{"from", iso_time(interval.from_ms)},
                       {"to", iso_time(interval.until_ms)},
                       {"custodians", statement.answered},
                       {"states", statement.states},
                       {"enough", statement.enough},
                       {"cases", statement.cases},
                       {"released", released},
                       {"not_covered", names_of(statement.not_covered)}});
    return;
  }
  for (std::size_t i = 0; i < statement.answered.size(); ++i)
    call.out().line(statement.answered[i] + ": the vault is " + statement.states[i] + " there");
  call.out().line("from " + time_for_people(interval.from_ms) + " to " + time_for_people(interval.until_ms) + ": " +
                  std::to_string(released.size()) + " of " + std::to_string(statement.cases) +
                  " case keys were released" + (released.empty() ? "" : ": " + joined(released)));
  if (!statement.not_covered.empty())
    call.out().warning("these custodians hold nothing of " + joined(names_of(statement.not_covered)) +
                       " yet: whether somebody opened it they cannot say");
}

}  // namespace

Interval interval_option(Invocation& call) {
  const auto now = call.process().environment.now_ms();
  const Interval interval{call.has("from") ? parse_moment(call, "from") : now - kDayMs,
                          call.has("to") ? parse_moment(call, "to") : now};
  if (interval.from_ms > interval.until_ms)
    throw Error(Errc::kUsage, "--from is later than --to", help_hint(call.command()));
  return interval;
}

std::vector<Option> statement_options() {
  return {{.name = "from", .value = "TIME", .help = "2026-11-22T09:30:00Z, or 2026-11-22"},
          {.name = "to", .value = "TIME", .help = "likewise"},
          {.name = "out",
           .value = "DIR",
           .help = "a new folder for what each custodian signed, for somebody who does not take our word"}};
}

int print_statement(Invocation& call, const Interval& interval, const CustodyStatement& statement) {
  print_entries(call, statement);
  for (const auto& name : statement.silent) call.out().warning(name + " did not answer: nothing is known of it");
  print_sum(call, interval, statement);
  if (statement.enough) return 0;
  if (call.json()) return static_cast<int>(Errc::kTooFewCustodians);
  throw Error(Errc::kTooFewCustodians,
              "too few custodians answered to be sure of it: those that did not could have released more",
              "try again later, or from another network");
}

}  // namespace casevault
