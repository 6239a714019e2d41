#include <algorithm>
#include <charconv>

#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/session.h"
#include "vault/text.h"

namespace casevault {
namespace {

std::optional<std::int64_t> version_option(Invocation& call) {
  const auto text = call.value("version");
  if (!text) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size() || number < 1) {
    throw Error(Errc::kUsage, "'" + *text + "' is not a version: 1, 2, 3 ...", "casevault history " + call.argument(0));
  }
  return number;
}

std::optional<ByteRange> range_option(Invocation& call) {
  const auto text = call.value("range");
  if (!text) return std::nullopt;
  const auto range = parse_range(*text);
  if (!range) {
    throw Error(Errc::kUsage,
                "'" + *text +
                    "' is not a range: A-B are the bytes A to B, both included and counted from 0; A- goes to the end",
                help_hint(call.command()));
  }
  return range;
}

/// Whether a terminal would take some of it as commands: control characters other than white space.
bool would_command_a_terminal(ByteView content) {
  const auto controls = [](std::byte b) {
    const auto c = static_cast<unsigned char>(b);
    return (c < 0x20 && c != '\n' && c != '\t' && c != '\r' && c != '\f') || c == 0x7F;
  };
  return std::ranges::any_of(content, controls);
}

/// Cut at both ends where a character may be cut by the chunk, at most three bytes each.
bool is_text(ByteView content) {
  std::string_view text = as_text(content);
  for (int i = 0; i < 3 && !text.empty() && (static_cast<unsigned char>(text.front()) & 0xC0) == 0x80; ++i)
    text.remove_prefix(1);
  for (int i = 0; i < 4 && !text.empty(); ++i) {
    if (is_utf8(text)) return true;
    text.remove_suffix(1);
  }
  return text.empty() || is_utf8(text);
}

int run_cat(Invocation& call) {
  const ObjectName record = record_argument(call.argument(0));
  const auto version = version_option(call);
  const auto range = range_option(call);
  const bool guard_terminal = call.out().to_terminal() && !call.has("yes");
  OpenVault vault(call);
  read_content(vault.session(), record, version, range, [&](ByteView content) {
    if (guard_terminal && (would_command_a_terminal(content) || !is_text(content))) {
      throw Error(Errc::kUsage, to_string(record) + " is not plain text, and would make a mess of the terminal",
                  "casevault export " + to_string(record) + " --to DIR");
    }
    call.out().raw(content);
  });
  return 0;
}

}  // namespace

Command cat_command() {
  return {
      .name = "cat",
      .arguments = "RECORD",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "write a record's content to standard output",
      .description =
          "The whole content's SHA-256 is checked before the first byte is written; with --range only what the range "
          "touches is\n"
          "authenticated. What is not plain text is not written to a terminal; --yes does.",
      .options = {{.name = "version", .value = "N", .help = "not the newest version but this one"},
                  {.name = "range",
                   .value = "A-B",
                   .help = "only the bytes A to B, both included, from 0; A- to the end"}},
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed, Errc::kNotFound,
                   Errc::kDamaged, Errc::kAuditUnavailable, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_cat,
      .in_guard = true,
  };
}

}  // namespace casevault
