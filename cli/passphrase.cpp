#include "cli/passphrase.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/descriptor.h"
#include "cli/terminal.h"
#include "crypto/encoding.h"
#include "crypto/random.h"
#include "vault/access/strength.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr int kTries = 3;
constexpr int kGeneratedWords = 6;  // of 16 bits each

/// A descriptor to read a passphrase from; closed at the end only if it was opened here.
class Source {
 public:
  explicit Source(const std::string& path) : named_(descriptor_named(path)) {
    descriptor_ = named_ ? *named_ : open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0 || (named_ && fcntl(descriptor_, F_GETFD) == -1)) {
      throw Error(Errc::kUsage, "cannot read the passphrase from " + path + ": " + std::strerror(errno));
    }
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() {
    if (!named_) close(descriptor_);
  }
  int descriptor() const { return descriptor_; }
  struct stat status() const {
    struct stat status = {};
    require(fstat(descriptor_, &status) == 0, "cannot look at the passphrase file");
    return status;
  }

 private:
  std::optional<int> named_;
  int descriptor_ = -1;
};

SecretBytes read_passphrase_file(Invocation& call, const std::string& path) {
  const Source source(path);
  const struct stat status = source.status();
  if (S_ISDIR(status.st_mode))
    throw Error(Errc::kUsage, "cannot read the passphrase from " + path + ": it is a folder");
  if (S_ISREG(status.st_mode) && (status.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    call.out().warning("other users of this machine can read " + path + "; allow it to yourself only: chmod 600");
  }
  SecretBytes line = read_secret_line(source.descriptor(), kMaxPassphraseSize, call.process().environment.interrupted);
  if (line.empty()) throw Error(Errc::kUsage, "the first line of " + path + " is empty: there is no passphrase in it");
  return line;
}

std::optional<Terminal> open_terminal(Invocation& call) {
  return Terminal::open(call.process().terminal, call.process().environment.interrupted);
}

Terminal terminal_for_passphrase(Invocation& call, std::string_view option) {
  auto terminal = open_terminal(call);
  if (!terminal) {
    throw Error(
        Errc::kUsage, "a passphrase is needed, and there is no terminal to ask for it",
        "put it into the first line of a file that only you can read, and add --" + std::string(option) + " FILE");
  }
  return std::move(*terminal);
}

/// Shows a random passphrase, word by word, so that it never stands in memory in one piece.
void suggest_passphrase(Terminal& terminal) {
  terminal.show("A strong one, made for you just now, is: ");
  for (int i = 0; i < kGeneratedWords; ++i) {
    if (i > 0) terminal.show("-");
    terminal.show(to_proquints(random_array<2>()));
  }
  terminal.show("\n");
}

std::string describe_weakness(const PassphraseStrength& strength) {
  return "this passphrase is too weak: " + strength.weakness + "; with the disk in hand it would be guessed in " +
         guessing_time(strength.bits);
}

/// Nothing when what was typed cannot be used; why was said.
std::optional<SecretBytes> try_new_passphrase(Terminal& terminal, const std::string& question,
                                              const std::vector<std::string>& names) {
  SecretBytes first = terminal.ask_secret(question + ": ");
  if (first.empty()) {
    terminal.show("It is empty. Several words that nobody would guess together are good and can be remembered.\n");
    suggest_passphrase(terminal);
    return std::nullopt;
  }
  const PassphraseStrength strength = rate_passphrase(first, names);
  if (!strength.is_enough()) {
    std::string why = describe_weakness(strength);
    why[0] = 'T';
    terminal.show(why + ".\n");
    suggest_passphrase(terminal);
    return std::nullopt;
  }
  if (are_equal(first, terminal.ask_secret("The same once more: "))) return first;
  terminal.show("The two were different.\n");
  return std::nullopt;
}

}  // namespace

SecretBytes current_passphrase(Invocation& call, std::string_view question) {
  if (const auto path = call.value("passphrase-file")) return read_passphrase_file(call, *path);
  Terminal terminal = terminal_for_passphrase(call, "passphrase-file");
  SecretBytes typed = terminal.ask_secret(escape_for_display(question) + ": ");
  if (typed.empty()) throw Error(Errc::kUsage, "no passphrase was typed");
  return typed;
}

SecretBytes new_passphrase(Invocation& call, std::string_view option, std::string_view question,
                           const std::vector<std::string>& names) {
  if (const auto path = call.value(option)) {
    SecretBytes passphrase = read_passphrase_file(call, *path);
    const PassphraseStrength strength = rate_passphrase(passphrase, names);
    if (strength.is_enough()) return passphrase;
    throw Error(Errc::kUsage, describe_weakness(strength),
                "run it on a terminal without --" + std::string(option) + ": a strong passphrase is suggested there");
  }
  Terminal terminal = terminal_for_passphrase(call, option);
  const std::string asked = escape_for_display(question);
  for (int i = 0; i < kTries; ++i) {
    if (auto passphrase = try_new_passphrase(terminal, asked, names)) return std::move(*passphrase);
  }
  throw Error(Errc::kUsage, "no usable passphrase was typed; nothing was changed");
}

void confirm(Invocation& call, const std::string& question, const std::string& refusal) {
  if (call.has("yes")) return;
  auto terminal = open_terminal(call);
  if (!terminal) {
    throw Error(Errc::kUsage, refusal + ": it must be confirmed, and there is no terminal to ask on",
                "add --yes if you are sure");
  }
  if (terminal->ask(escape_for_display(question) + " Type yes to go on: ") != "yes") throw Error(Errc::kUsage, refusal);
}

}  // namespace casevault
