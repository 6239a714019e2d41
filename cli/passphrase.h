#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "crypto/secret.h"

namespace casevault {

inline constexpr std::size_t kMaxPassphraseSize = 1024;  // bytes

/// The passphrase of whoever works: from --passphrase-file, else asked on the terminal.
/// @throws Error: kUsage when it is empty or there is nobody to ask, kInterrupted.
SecretBytes current_passphrase(Invocation& call, std::string_view question);

/// A passphrase to be used from now on: from the file that `option` names, else asked twice on the terminal. It is
/// rated, with `names` as words that an adversary would try first; on the terminal a weak one is explained, a generated
/// one suggested, and asked again.
/// @throws Error: kUsage when it is too weak or there is nobody to ask, kInterrupted.
SecretBytes new_passphrase(Invocation& call, std::string_view option, std::string_view question,
                           const std::vector<std::string>& names);

/// Whether to go on. --yes says so; otherwise the question is asked on the terminal and only "yes" is a yes.
/// @throws Error{kUsage, refusal} when it is not yes, or when there is neither --yes nor a terminal: then nothing is
/// done.
void confirm(Invocation& call, const std::string& question, const std::string& refusal);

}  // namespace casevault
