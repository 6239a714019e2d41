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

/// For single quotes of shells.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// `case` branches: what may follow each command.
std::string shell_branches() {
  std::string text;
  for (const std::string& word : words_of()) {
    const std::set<std::string> second = words_of(word);
    if (!second.empty()) text += "    " + quoted(word + " ") + ") words=" + quoted(joined(second)) + " ;;\n";
  }
  for (const Command& command : commands()) {
    const std::string name = command.name;
    const std::string pattern = name.find(' ') == name.npos ? quoted(name + " ") + "*" : quoted(name);
    text += "    " + pattern + ") words=" + quoted(option_words(command.options)) + " ;;\n";
  }
  return text;
}

/// Finds the command among the words already there; the same in bash and zsh.
std::string shell_body(const std::string& words_array, const std::string& current_index) {
  return "  local i first='' second='' words='' global=" + quoted(option_words(global_options())) + "\n" +
         "  for ((i = " + std::string(words_array == "words" ? "2" : "1") + "; i < " + current_index + "; i++)); do\n" +
         "    case \"${" + words_array + "[i]}\" in\n" + "      " + valued_pattern() + ") ((i++)) ;;\n" +
         "      -*) ;;\n" + "      *) if [ -z \"$first\" ]; then first=\"${" + words_array +
         "[i]}\"; elif [ -z \"$second\" ]; then second=\"${" + words_array + "[i]}\"; fi ;;\n" + "    esac\n  done\n";
}

}  // namespace

std::string bash_completion() {
  return "# bash completion of casevault\n_casevault() {\n  local current=\"${COMP_WORDS[COMP_CWORD]}\"\n" +
         shell_body("COMP_WORDS", "COMP_CWORD") +
         "  case \"$first $second\" in\n    ' ') words=" + quoted(joined(words_of())) + " ;;\n" + shell_branches() +
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
         "  case \"$first $second\" in\n    ' ') found=" + quoted(joined(words_of())) + " ;;\n" + branches +
         "  esac\n" +
         "  [[ \"${words[CURRENT]}\" == -* ]] && found=\"$found $global\"\n"
         "  [[ -n \"$found\" ]] && compadd -- ${=found}\n  [[ \"${words[CURRENT]}\" == -* || -z \"$first\" ]] || "
         "_files\n}\n_casevault \"$@\"\n";
}

std::string fish_completion() {
  std::string text = "# fish completion of casevault\n";
  const std::string none = quoted("not __fish_seen_subcommand_from " + joined(words_of()));
  for (const Option& option : global_options()) {
    text += std::string("complete -c casevault -l ") + option.name + (option.value ? " -r" : "") + " -d " +
            quoted(option.help) + "\n";
  }
  for (const std::string& word : words_of()) {
    const Command* command = find_command(word);
    text += "complete -c casevault -f -n " + none + " -a " + word + (command ? " -d " + quoted(command->summary) : "") +
            "\n";
  }
  for (const Command& command : commands()) {
    const std::string name = command.name;
    const std::size_t space = name.find(' ');
    std::string condition = "__fish_seen_subcommand_from " + name.substr(0, space);
    if (space != name.npos) {
      const std::string second = name.substr(space + 1);
      text += "complete -c casevault -f -n " +
              quoted(condition + "; and not __fish_seen_subcommand_from " + joined(words_of(name.substr(0, space)))) +
              " -a " + second + " -d " + quoted(command.summary) + "\n";
      condition += "; and __fish_seen_subcommand_from " + second;
    }
    for (const Option& option : command.options) {
      text += "complete -c casevault -n " + quoted(condition) + " -l " + option.name + (option.value ? " -r" : "") +
              " -d " + quoted(option.help) + "\n";
    }
  }
  return text;
}

}  // namespace casevault
