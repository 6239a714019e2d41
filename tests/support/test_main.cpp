// casevault for scripts: the same program with the cheapest Argon2id, so that unlocking takes no time.
#include "cli/program.h"

int main(int argc, char** argv) {
  const casevault::Argon2Cost cheapest = {.passes = 1, .memory_bytes = 64u << 10};
  return casevault::program_main(argc, argv, {.new_vault = cheapest, .floor = cheapest});
}
