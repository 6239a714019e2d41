#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/bytes.h"
#include "vault/environment.h"

namespace casevault {

/// Another program, as it is to be run.
struct ChildProgram {
  std::vector<std::string> words;                // [0]: its path
  std::map<std::string, std::string> variables;  // its whole environment
  std::string input;                             // its standard input
};
struct ChildOutput {
  std::function<void(ByteView)> out;               // standard output as it comes
  std::function<void(std::string_view line)> err;  // standard error, line by line, without the newline
};

/// Runs it without a shell, with no descriptor but the standard three; it ends with this process, however that ends.
/// Returns its exit status, or 128 and the number of the signal that ended it.
/// @throws Error: kInterrupted (the program is ended first), kInternal when it cannot be started.
int run_program(const ChildProgram& program, const ChildOutput& output, const Environment& environment);

/// The path of a program in the folders of `search_path` ("/usr/bin:/bin"); empty when there is none.
std::string find_program(std::string_view name, std::string_view search_path);

}  // namespace casevault
