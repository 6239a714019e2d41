#include "cli/help.h"

#include <algorithm>
#include <set>

#include "cli/format.h"
#include "cli/version.h"

namespace casevault {
namespace {

constexpr std::size_t kSummaryColumn = 34;
constexpr std::size_t kWidth = 100;  // columns

std::string option_head(const Option& option) {
  return std::string("--") + option.name + (option.value ? std::string(" ") + option.value : "");
}

std::string usage_of(const Command& command) {
  std::string text = std::string("casevault ") + command.name;
  if (*command.arguments) text += std::string(" ") + command.arguments;
  for (const Option& option : command.options) {
    if (option.required) text += " " + option_head(option);
  }
  return text;
}

/// As a sentence.
std::string sentence(std::string text) {
  text[0] = static_cast<char>(text[0] >= 'a' && text[0] <= 'z' ? text[0] - 'a' + 'A' : text[0]);
  return text + ".";
}

/// Words in lines of at most kWidth columns, all but the first indented; blank lines stay.
std::string wrapped(std::string_view text, std::size_t indent = 0) {
  std::string out;
  std::size_t column = indent;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at, 2) == "\n\n") {
      out += "\n\n";
      column = 0;
      at += 2;
      continue;
    }
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (column > indent && column + 1 + display_width(word) > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += display_width(word);
    at = end + (end < text.size() && text.substr(end, 2) != "\n\n" ? 1 : 0);
  }
  return out;
}

/// Two columns; what is too long for the first gets a line of its own.
std::string row(const std::string& left, std::string_view right, std::size_t column = kSummaryColumn) {
  std::string text = "  " + left;
  if (text.size() + 2 > column) {
    text += "\n" + std::string(column, ' ');
  } else {
    text.resize(column, ' ');
  }
  return text + wrapped(right, column) + "\n";
}

std::string option_help(const Option& option) {
  return std::string(option.help) + (option.required ? " (required)" : option.repeatable ? " (may be repeated)" : "");
}

/// All statuses a command can end with: its own and those that any command has.
std::set<Errc> statuses_of(const Command& command) {
  std::set<Errc> all(command.statuses.begin(), command.statuses.end());
  all.insert({Errc::kInternal, Errc::kUsage});
  if (all.contains(Errc::kWrongPassphrase))  // opens the vault, which may be under custody
    all.insert({Errc::kCustodiansRefused, Errc::kTooFewCustodians, Errc::kDestroyed});
  return all;
}

/// Every status that some command has.
std::set<Errc> all_statuses() {
  std::set<Errc> all;
  for (const Command& command : commands()) all.merge(statuses_of(command));
  return all;
}

// troff

/// Text as troff prints it unchanged: backslashes and hyphens escaped, other characters by number, no line taken for a
/// request.
std::string troff(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((i == 0 || text[i - 1] == '\n') && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c >= 0xC0 && c < 0xE0 && i + 1 < text.size()) {  // two bytes of UTF-8: all that our texts have
      const unsigned code = (c & 0x1Fu) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3Fu);
      out += "\\[u" + to_hex(be32(code)).substr(4) + "]";
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Blank lines become paragraphs.
std::string troff_paragraphs(std::string_view text) {
  std::string out = troff(text);
  for (std::size_t at = 0; (at = out.find("\n\n", at)) != out.npos;) out.replace(at, 2, "\n.PP\n");
  return out + "\n";
}

std::string troff_options(std::span<const Option> options) {
  std::string text;
  for (const Option& option : options) {
    text += ".TP\n\\fB" + troff(std::string("--") + option.name) + "\\fR";
    if (option.value) text += " \\fI" + troff(option.value) + "\\fR";
    text += "\n" + troff(option_help(option)) + "\n";
  }
  return text;
}

}  // namespace

std::string overview() {
  std::string text =
      "casevault keeps case files and testimonies encrypted, and shows who opened what.\n"
      "\n"
      "  casevault [--vault DIR] COMMAND ...\n"
      "\n";
  for (const Command& command : commands()) {
    text += row(std::string(command.name) + " " + command.arguments, command.summary);
  }
  text += "\nOptions of all commands:\n";
  for (const Option& option : global_options()) text += row(option_head(option), option.help);
  text +=
      "\nCases are C-1, C-2...; records C-1/E-3 (evidence) and C-1/T-2 (testimony).\n"
      "More about one command: casevault help COMMAND\n";
  return text;
}

std::string help_of(const Command& command) {
  constexpr std::size_t kColumn = 30;
  std::string text =
      usage_of(command) + "\n\n" + sentence(command.summary) + "\n\n" + wrapped(command.description) + "\n";
  if (!command.options.empty()) {
    text += "\nOptions:\n";
    for (const Option& option : command.options) text += row(option_head(option), option_help(option), kColumn);
  }
  text += "\nExit status:\n" + row("0", "done", kColumn);
  for (const Errc status : statuses_of(command)) {
    text += row(std::to_string(static_cast<int>(status)), meaning_of(status), kColumn);
  }
  return text + "\nOptions of all commands (--vault, --user, --json, ...): casevault help\n";
}

std::string man_page() {
  std::string text = ".TH CASEVAULT 1 \"\" \"casevault ";
  text += kVersion;  // one by one: gcc 12 warns of overflows in long sums of strings that are none
  text += "\" \"User Commands\"\n";
  text +=
      ".SH NAME\ncasevault \\- keeps case files and testimonies of people whose lawyers are raided\n"
      ".SH SYNOPSIS\n.B casevault\n[\\fB\\-\\-vault\\fR \\fIDIR\\fR] \\fICOMMAND\\fR [\\fIargument\\fR ...]\n"
      ".SH DESCRIPTION\n"
      "A vault is a folder that holds cases, in each case records: evidence (files) and testimonies. Everything in it "
      "is\n"
      "encrypted; each person opens it with their own passphrase and reads the cases they were let into. Every access "
      "is\n"
      "written to an audit log that cannot be changed unnoticed, before anything is shown.\n"
      ".PP\nCases are called C\\-1, C\\-2 ...; records C\\-1/E\\-3 (evidence) and C\\-1/T\\-2 (testimony).\n"
      "Options are never abbreviated. Results go to standard output, all else to standard error; questions are asked\n"
      "on the terminal. A passphrase is never an argument or an environment variable.\n"
      ".SH OPTIONS OF ALL COMMANDS\n";
  text += troff_options(global_options());
  text += ".SH COMMANDS\n";
  for (const Command& command : commands()) {
    text += ".SS " + troff(usage_of(command)) + "\n" + troff(sentence(command.summary)) + "\n.PP\n" +
            troff_paragraphs(command.description);
    text += troff_options(command.options);
  }
  text +=
      ".SH ENVIRONMENT\n.TP\n.B CASEVAULT_DIR\nthe vault's folder, where \\-\\-vault is not given\n"
      ".TP\n.B CASEVAULT_USER\nwho you are, where \\-\\-user is not given\n.SH EXIT STATUS\n.TP\n.B 0\ndone\n";
  for (const Errc status : all_statuses()) {
    text += ".TP\n.B " + std::to_string(static_cast<int>(status)) + "\n" + troff(meaning_of(status)) + "\n";
  }
  return text;
}

}  // namespace casevault
