#include <algorithm>
#include <boost/program_options.hpp>

#include "cli/command.h"
#include "vault/access/identity.h"

namespace casevault {
namespace {

namespace po = boost::program_options;

// Without guessing of abbreviations and without short options: what is not known is refused.
constexpr int kStyle = po::command_line_style::allow_long | po::command_line_style::long_allow_adjacent |
                       po::command_line_style::long_allow_next;

using Words = std::vector<std::string>;

[[noreturn]] void usage_error(const std::string& message, const std::string& hint = "casevault help") {
  throw Error(Errc::kUsage, message, hint);
}

bool is_option(std::string_view word) { return word.size() > 1 && word.front() == '-'; }

bool takes_value(std::span<const Option> options, std::string_view word) {
  return word.starts_with("--") && word.find('=') == word.npos &&
         std::ranges::any_of(options, [&](const Option& o) { return o.value && word.substr(2) == o.name; });
}

/// The position of the first word that is neither a global option nor its value; the size when there is none.
std::size_t find_command_word(const Words& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!is_option(word)) return i;
    const std::string name = word.substr(0, word.find('='));
    const bool known =
        std::ranges::any_of(global_options(), [&](const Option& o) { return name == std::string("--") + o.name; });
    if (!known) usage_error("unknown option " + name + " before the command");
    if (takes_value(global_options(), word)) ++i;
  }
  return words.size();
}

/// The subcommands of a group such as "user", one after the other; empty when it is none.
std::string subcommands_of(std::string_view group) {
  std::string names;
  for (const Command& command : commands()) {
    const std::string_view name = command.name;
    if (!name.starts_with(group) || name.size() <= group.size() || name[group.size()] != ' ') continue;
    names += (names.empty() ? "" : ", ") + std::string(name.substr(group.size() + 1));
  }
  return names;
}

[[noreturn]] void refuse_unknown_command(const std::string& name, const std::string& next) {
  const std::string group = subcommands_of(name);
  if (!group.empty() && next.empty())
    usage_error("'" + name + "' needs one more word: " + group, "casevault help " + name);
  const std::string whole = group.empty() ? name : name + " " + next;
  const std::string nearest = nearest_command(whole);
  usage_error("unknown command '" + whole + "'" + (nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
}

/// A command line cut in two. What stands before the command's last word can only be global options.
struct Cut {
  const Command& command;
  Words before;
  Words behind;
};

Cut cut_at(const Command& command, const Words& words, std::size_t at) {
  const auto middle = words.begin() + static_cast<std::ptrdiff_t>(at);
  return {command, Words(words.begin(), middle), Words(middle, words.end())};
}

/// Takes the command's words out of `words`.
Cut cut_at_command(Words words) {
  const std::size_t first = find_command_word(words);
  const std::string name = words[first];
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(first));
  if (const Command* command = find_command(name)) return cut_at(*command, words, first);
  if (subcommands_of(name).empty()) refuse_unknown_command(name, "");
  const Words rest(words.begin() + static_cast<std::ptrdiff_t>(first), words.end());
  const std::size_t second = first + find_command_word(rest);
  if (second >= words.size()) refuse_unknown_command(name, "");
  const std::string next = words[second];
  const Command* command = find_command(name + " " + next);
  if (!command) refuse_unknown_command(name, next);
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(second));
  return cut_at(*command, words, second);
}

/// A value that looks like an option is one that was forgotten.
void check_values(const Words& words, std::span<const Option> options, const Command& command) {
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (!takes_value(options, words[i])) continue;
    const std::string& value = words[++i];
    if (value.starts_with("--")) {
      usage_error("option " + words[i - 1] + " needs a value, and " + value + " looks like an option",
                  "if it is the value, join the two: " + words[i - 1] + "=" + value + "; " + help_hint(command));
    }
  }
}

/// Splits off what stands behind `--`, which are arguments whatever they look like.
Words take_behind_dashes(Words& words, std::span<const Option> options) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") {
      Words behind(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      words.resize(i);
      return behind;
    }
    if (takes_value(options, words[i])) ++i;
  }
  return {};
}

std::vector<po::option> parse_options(const Words& words, std::span<const Option> options, const Command& command) {
  po::options_description description;
  for (const Option& option : options) {
    if (option.value) {
      description.add_options()(option.name, po::value<std::string>(), "");
    } else {
      description.add_options()(option.name, "");
    }
  }
  try {
    return po::command_line_parser(words).options(description).style(kStyle).run().options;
  } catch (const po::unknown_option& error) {
    usage_error("unknown option " + error.get_option_name(), help_hint(command));
  } catch (const po::invalid_command_line_syntax& error) {
    switch (error.kind()) {
      case po::invalid_syntax::extra_parameter:
        usage_error("option " + error.get_option_name() + " takes no value", help_hint(command));
      default:
        usage_error("option " + error.get_option_name() + " needs a value", help_hint(command));
    }
  } catch (const po::error& error) {
    usage_error(error.what(), help_hint(command));
  }
}

void check_options(const Arguments& arguments, std::span<const Option> options, const Command& command) {
  for (const Option& option : options) {
    const auto given = arguments.options.find(option.key_or_name());
    const bool is_there = given != arguments.options.end();
    const std::string name = std::string("--") + option.name;
    if (is_there && !option.repeatable && given->second.size() > 1) {
      usage_error("option " + name + " is given twice", help_hint(command));
    }
    if (!is_there && option.required && !arguments.options.contains("help")) {
      usage_error("'" + std::string(command.name) + "' needs " + name + " " + option.value, help_hint(command));
    }
  }
}

void check_count(const Arguments& arguments, const Command& command) {
  const std::size_t count = arguments.positional.size();
  const std::string usage = std::string("casevault ") + command.name + " " + command.arguments;
  if (count > command.max_arguments) {
    usage_error("stray argument '" + arguments.positional[command.max_arguments] + "'; the command is: " + usage,
                help_hint(command));
  }
  if (count < command.min_arguments)
    usage_error("an argument is missing; the command is: " + usage, help_hint(command));
}

/// The command's own options, and the global ones that it does not call its own.
std::vector<Option> options_behind(const Command& command) {
  std::vector<Option> options = command.options;
  for (const Option& global : global_options()) {
    const auto is_same = [&](const Option& own) { return std::string_view(own.name) == global.name; };
    if (std::ranges::none_of(command.options, is_same)) options.push_back(global);
  }
  return options;
}

/// Parses `words` into `arguments`.
void take_words(Arguments& arguments, const Words& words, std::span<const Option> options, const Command& command) {
  for (po::option& option : parse_options(words, options, command)) {
    if (!option.string_key.empty()) {
      const auto spec = std::ranges::find(options, option.string_key, &Option::name);
      arguments.options[spec->key_or_name()].push_back(option.value.empty() ? std::string()
                                                                            : std::move(option.value.front()));
      continue;
    }
    for (std::string& word : option.value) {
      if (is_option(word))
        usage_error("unknown option " + word + "; behind -- it would be an argument", help_hint(command));
      arguments.positional.push_back(std::move(word));
    }
  }
}

}  // namespace

ParsedLine parse_line(const Words& given) {
  Words words = given;
  // `casevault --help` and `--version` are what people try first.
  if (words.size() == 1 && words[0] == "--help") return {find_command("help"), {}};
  if (!words.empty() && words[0] == "--version") words[0] = "version";
  if (words.size() == 2 && words[1] == "--help" && !subcommands_of(words[0]).empty()) {
    return {find_command("help"), {.positional = {words[0]}}};
  }
  if (find_command_word(words) == words.size()) return {};
  Cut cut = cut_at_command(std::move(words));
  const Command& command = cut.command;
  const std::vector<Option> options = options_behind(command);
  const Words plain = take_behind_dashes(cut.behind, options);

  check_values(cut.before, global_options(), command);
  check_values(cut.behind, options, command);

  Arguments arguments;
  take_words(arguments, cut.before, global_options(), command);
  take_words(arguments, cut.behind, options, command);
  arguments.positional.insert(arguments.positional.end(), plain.begin(), plain.end());
  check_options(arguments, global_options(), command);
  check_options(arguments, command.options, command);
  if (!arguments.options.contains("help")) check_count(arguments, command);
  return {&command, std::move(arguments)};
}

std::optional<std::string> Invocation::value(std::string_view option) const {
  const auto given = arguments_.options.find(option);
  if (given == arguments_.options.end()) return std::nullopt;
  return given->second.front();
}

std::vector<std::string> Invocation::values(std::string_view option) const {
  const auto given = arguments_.options.find(option);
  return given == arguments_.options.end() ? Words{} : given->second;
}

std::string Invocation::vault_folder() const {
  std::string folder = value("vault").value_or(process_.variable("CASEVAULT_DIR").value_or(""));
  if (folder.empty()) {
    throw Error(Errc::kUsage, "which vault? None was named",
                "add --vault DIR, or say it once for this terminal: export CASEVAULT_DIR=DIR");
  }
  return folder;
}

std::string Invocation::user() const {
  auto name = value("user");
  if (!name) name = process_.variable("CASEVAULT_USER");
  if (!name) name = process_.login_name;
  if (!is_valid_user_name(*name)) {
    throw Error(Errc::kUsage,
                "'" + *name +
                    "' cannot be the name of a user: 1 to 64 bytes of UTF-8 without control characters, slashes "
                    "or spaces at the ends",
                "add --user NAME");
  }
  return *name;
}

std::string help_hint(const Command& command) { return std::string("casevault help ") + command.name; }

}  // namespace casevault
