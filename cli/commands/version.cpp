#include "cli/version.h"

#include <dlfcn.h>

#include <charconv>

#include "cli/commands/commands.h"
#include "cli/json.h"
#include "vault/storage/database.h"

namespace casevault {
namespace {

/// What a library that is loaded says its version is; "unknown" when it is linked in statically.
template <typename... Arguments>
std::string loaded_version(const char* function, Arguments... arguments) {
  void* symbol = dlsym(RTLD_DEFAULT, function);
  if (!symbol) return "unknown";
  return reinterpret_cast<const char* (*)(Arguments...)>(symbol)(arguments...);
}

struct Number {
  int major = 0;
  int minor = 0;
  auto operator<=>(const Number&) const = default;
};

/// The first two numbers of "4.6.1 community".
Number number_of(std::string_view text) {
  Number number;
  const char* const end = text.data() + text.size();
  const auto [dot, error] = std::from_chars(text.data(), end, number.major);
  if (error == std::errc{} && dot != end && *dot == '.') std::from_chars(dot + 1, end, number.minor);
  return number;
}

/// Known-bad ranges; empty when this version is in none.
std::string judge_sqlcipher(const std::string& version) {
  const Number number = number_of(version);
  if (number < Number{4, 5}) return "not supported: casevault needs SQLCipher 4.5 or newer";
  if (number < Number{4, 18}) return "below 4.18: lacks fixes made to SQLite since; update when your distribution does";
  return {};
}

int run_version(Invocation& call) {
  const std::string version = kVersion;
  if (!call.has("verbose")) {
    if (call.json())
      call.out().object({{"casevault", version}});
    else
      call.out().line("casevault " + version);
    return 0;
  }
  const DatabaseLibraryVersion database = database_library_version();
  const std::string sodium = loaded_version("sodium_version_string");
  const std::string crypto = loaded_version("OpenSSL_version", 0);
  const std::string judgement = judge_sqlcipher(database.sqlcipher);
  if (call.json()) {
    call.out().object({{"casevault", version},
                       {"libsodium", sodium},
                       {"libcrypto", crypto},
                       {"sqlcipher", database.sqlcipher},
                       {"sqlite", database.sqlite},
                       {"sqlcipher_note", judgement}});
    return 0;
  }
  Facts facts;
  facts.add("casevault", version);
  facts.add("libsodium", sodium);
  facts.add("libcrypto", crypto);
  facts.add("SQLCipher", database.sqlcipher + (judgement.empty() ? "" : " (" + judgement + ")"));
  facts.add("SQLite in it", database.sqlite);
  facts.print(call.out());
  return 0;
}

}  // namespace

Command version_command() {
  return {
      .name = "version",
      .arguments = "",
      .max_arguments = 0,
      .summary = "casevault's version; --verbose: also its libraries'",
      .description =
          "With --verbose, names the versions of the libraries that do the encrypting, and says if one is known to be "
          "bad.",
      .run = run_version,
  };
}

}  // namespace casevault
