#include <set>

#include "cli/help.h"

namespace casevault {
namespace {

/// First words of commands, each once; with `group`, the second words within it.
std::set<std::string> words_of(std::string_view group = {}) {
  std::set<std::string> words;
  for (const Command& command : commands()) {
    const std::string name = command.name;
    const std::size_t space = name.find(' ');
    if (group.empty()) {
      words.insert(name.substr(0, space));
    } else if (space != name.npos && name.substr(0, space) == group) {
      words.insert(name.substr(space + 1));
    }
  }
  return words;
}

std::string joined(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string option_words(std::span<const Option> options) {
  std::string text;
  for (const Option& option : options) text += std::string(text.empty() ? "" : " ") + "--" + option.name;
  return text;
}

/// Global options that swallow the next word, as a shell pattern.
std::string valued_pattern() {
  std::string text;
  for (const Option& option : global_options()) {
    if (option.value) text += std::string(text.empty() ? "" : "|") + "--" + option.name;
  }
  return text;
}

/// In single quotes.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// `case` branches: what may follow each command.
std::string shell_branches() {
  std::string text;
  for (const std::string& word : words_of()) {
    const std::set<std::string> second = words_of(word);
    if (!second.empty()) text += "    " + in_quotes(word + " ") + ") words=" + in_quotes(joined(second)) + " ;;\n";
  }
  for (const Command& command : commands()) {
    const std::string name = command.name;
    const std::string pattern = name.find(' ') == name.npos ? in_quotes(name + " ") + "*" : in_quotes(name);
    text += "    " + pattern + ") words=" + in_quotes(option_words(command.options)) + " ;;\n";
  }
  return text;
}

/// Finds the command among the words already there; the same in bash and zsh.
std::string shell_body(const std::string& words_array, const std::string& current_index) {
  return "  local i first='' second='' words='' global=" + in_quotes(option_words(global_options())) + "\n" +
         "  for ((i = " + std::string(words_array == "words" ? "2" : "1") + "; i < " + current_index + "; i++)); do\n" +
         "    case \"${" + words_array + "[i]}\" in\n" + "      " + valued_pattern() + ") ((i++)) ;;\n" +
         "      -*) ;;\n" + "      *) if [ -z \"$first\" ]; then first=\"${" + words_array +
         "[i]}\"; elif [ -z \"$second\" ]; then second=\"${" + words_array + "[i]}\"; fi ;;\n" + "    esac\n  done\n";
}

// fish: one line for each word and option, with the condition under which it is offered.

std::string fish_option(const std::string& condition, const Option& option) {
  std::string line = "complete -c casevault";
  if (!condition.empty()) line.append(" -n ").append(in_quotes(condition));
  line.append(" -l ").append(option.name).append(option.value ? " -r" : "");
  return line.append(" -d ").append(in_quotes(option.help)).append("\n");
}

std::string fish_word(const std::string& condition, const std::string& word, const char* summary) {
  std::string line = "complete -c casevault -f -n " + in_quotes(condition) + " -a " + word;
  if (*summary) line.append(" -d ").append(in_quotes(summary));
  return line.append("\n");
}

/// The second word of a command, where it has one, and its options.
std::string fish_command(const Command& command) {
  const std::string name = command.name;
  const std::size_t space = name.find(' ');
  const std::string group = name.substr(0, space);
  std::string condition = "__fish_seen_subcommand_from " + group;
  std::string text;
  if (space != name.npos) {
    const std::string second = name.substr(space + 1);
    text += fish_word(condition + "; and not __fish_seen_subcommand_from " + joined(words_of(group)), second,
                      command.summary);
    condition += "; and __fish_seen_subcommand_from " + second;
  }
  for (const Option& option : command.options) text += fish_option(condition, option);
  return text;
}

}  // namespace

std::string bash_completion() {
  return "# bash completion of casevault\n_casevault() {\n  local current=\"${COMP_WORDS[COMP_CWORD]}\"\n" +
         shell_body("COMP_WORDS", "COMP_CWORD") +
         "  case \"$first $second\" in\n    ' ') words=" + in_quotes(joined(words_of())) + " ;;\n" + shell_branches() +
         "  esac\n" +
         "  case \"$current\" in\n    -*) words=\"$words $global\" ;;\n  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -o default -F _casevault casevault\n";
}

std::string zsh_completion() {
  std::string body = shell_body("words", "CURRENT");
  // `words` is zsh's own array there, so the candidates are called otherwise.
  body.replace(body.find("words='' "), 9, "found='' ");
  std::string branches = shell_branches();
  for (std::size_t at = 0; (at = branches.find(") words=", at)) != branches.npos;) branches.replace(at, 8, ") found=");
  return "#compdef casevault\n_casevault() {\n" + body +
         "  case \"$first $second\" in\n    ' ') found=" + in_quotes(joined(words_of())) + " ;;\n" + branches +
         "  esac\n" +
         "  [[ \"${words[CURRENT]}\" == -* ]] && found=\"$found $global\"\n"
         "  [[ -n \"$found\" ]] && compadd -- ${=found}\n  [[ \"${words[CURRENT]}\" == -* || -z \"$first\" ]] || "
         "_files\n}\n_casevault \"$@\"\n";
}

std::string fish_completion() {
  std::string text = "# fish completion of casevault\n";
  for (const Option& option : global_options()) text += fish_option("", option);
  const std::string at_start = "not __fish_seen_subcommand_from " + joined(words_of());
  for (const std::string& word : words_of()) {
    const Command* command = find_command(word);
    text += fish_word(at_start, word, command ? command->summary : "");
  }
  for (const Command& command : commands()) text += fish_command(command);
  return text;
}

}  // namespace casevault
