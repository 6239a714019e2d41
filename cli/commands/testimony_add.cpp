#include <algorithm>
#include <filesystem>

#include "cli/commands/commands.h"
#include "cli/commands/intake_report.h"
#include "cli/format.h"
#include "cli/session.h"
#include "cli/text_input.h"

namespace casevault {
namespace {

bool is_language(const std::string& text) {
  return (text.size() == 2 || text.size() == 3) &&
         std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}

TestimonyFacts facts_of(Invocation& call) {
  TestimonyFacts facts = {*call.value("witness"), call.value_or("language", ""), call.value_or("taken-at", ""),
                          call.value_or("place", ""), *call.value("consent")};
  const std::string hint = help_hint(call.command());
  if (facts.witness.empty()) throw Error(Errc::kUsage, "--witness is empty: whose words are these?", hint);
  if (facts.consent.empty()) throw Error(Errc::kUsage, "--consent is empty: what did the witness agree to?", hint);
  if (!facts.language.empty() && !is_language(facts.language)) {
    throw Error(Errc::kUsage,
                "'" + facts.language + "' is not a language: two or three small letters, such as ru, uk, en", hint);
  }
  if (!facts.taken_at.empty() && !is_date(facts.taken_at)) {
    throw Error(Errc::kUsage, "'" + facts.taken_at + "' is not a date: write it as YYYY-MM-DD", hint);
  }
  return facts;
}

int run_testimony_add(Invocation& call) {
  const std::int64_t number = case_argument(call.argument(0));
  const TestimonyFacts facts = facts_of(call);
  const AddOptions options = {call.value_or("title", ""), call.values("tag"), ""};
  const std::string path = call.positional().size() > 1 ? call.argument(1) : "-";
  const bool from_input = path == "-";
  if (!from_input && !std::filesystem::exists(path)) throw Error(Errc::kUsage, "no such file: " + path);
  OpenVault vault(call);  // first: a wrong passphrase should not cost the words that were typed
  const TextLimit limit = {kMaxTestimonySize, "the text is longer than a testimony may be",
                           "add it as a file: casevault add CASE PATH"};
  const Bytes text = read_text_input(path, limit, call.process().environment);
  const std::string name = from_input ? "testimony.txt" : std::filesystem::path(path).filename().string();
  print_added(call, add_testimony(vault.session(), number, text, name, facts, options));
  return 0;
}

}  // namespace

Command testimony_add_command() {
  return {
      .name = "testimony add",
      .arguments = "CASE [FILE|-]",
      .min_arguments = 1,
      .max_arguments = 2,
      .summary = "add somebody's words, with the terms they gave them on",
      .description =
          "Adds a text (UTF-8, at most 16 MiB) from FILE or from standard input as a record such as C-1/T-2. Call the "
          "witness by\n"
          "an alias, and write down what they agreed to in words that you can show them: it is kept with the text for "
          "ever.",
      .options = {{.name = "witness", .value = "ALIAS", .help = "whose words they are", .required = true},
                  {.name = "consent", .value = "TEXT", .help = "what the witness agreed to", .required = true},
                  {.name = "language", .value = "xx", .help = "two or three letters: ru, uk, en"},
                  {.name = "taken-at", .value = "DATE", .help = "the day it was given, YYYY-MM-DD"},
                  {.name = "place", .value = "TEXT", .help = "where it was given"},
                  {.name = "title", .value = "TEXT", .help = "what it is, in your words"},
                  {.name = "tag", .value = "TEXT", .help = "a word to find it by", .repeatable = true}},
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed, Errc::kNotFound,
                   Errc::kDamaged, Errc::kAuditUnavailable, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_testimony_add,
      .in_guard = true,
  };
}

}  // namespace casevault
