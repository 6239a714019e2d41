#pragma once
#include "crypto/kdf.h"

namespace casevault {

/// What a passphrase costs to try: the one thing in which the program of the tests differs from the real one.
struct KdfSettings {
  Argon2Cost new_vault;
  Argon2Cost floor;
};

/// The whole program: hardens the process, connects it to the outside, runs the command line. Returns the exit status.
int program_main(int argc, char** argv, const KdfSettings& kdf);

}  // namespace casevault
