#include "cli/text_input.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/descriptor.h"
#include "cli/format.h"
#include "crypto/error.h"

namespace casevault {
namespace {

Bytes read_text(int descriptor, const TextLimit& limit, const Environment& environment) {
  Bytes text;
  Bytes piece(64u << 10);
  while (const std::size_t got = read_descriptor(descriptor, piece, environment.interrupted)) {
    if (text.size() + got > limit.max_bytes)
      throw Error(Errc::kUsage, std::string(limit.complaint) + ": " + size_for_people(limit.max_bytes), limit.hint);
    text.insert(text.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
  }
  return text;
}

}  // namespace

Bytes read_text_input(const std::string& path, const TextLimit& limit, const Environment& environment) {
  if (path == "-") return read_text(STDIN_FILENO, limit, environment);
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0 && errno == EINTR) stop_if_interrupted(environment);  // a pipe that nobody writes to
  if (descriptor < 0) throw Error(Errc::kUsage, "cannot read " + path + ": " + std::strerror(errno));
  try {
    Bytes text = read_text(descriptor, limit, environment);
    close(descriptor);
    return text;
  } catch (...) {
    close(descriptor);
    throw;
  }
}

}  // namespace casevault
