#include "cli/program.h"

int main(int argc, char** argv) {
  const casevault::KdfSettings kdf = {
      .new_vault = {.passes = 3, .memory_bytes = 256u << 20},
      .floor = {.passes = 2, .memory_bytes = 64u << 20},
  };
  return casevault::program_main(argc, argv, kdf);
}
