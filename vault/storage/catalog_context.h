#pragma once
#include <string>

#include "crypto/error.h"
#include "vault/storage/catalog_state.h"
#include "vault/storage/json.h"

namespace casevault {

/// One statement under examination.
struct CatalogState::Context {
  const Change& change;
  const nlohmann::json statement;
  std::string what = "catalogue change " + std::to_string(change.number);
  Fields fields{statement, what};
  std::string kind = fields.text("kind");
  UserId by = fields.hex<16>("by");
  std::int64_t time_ms = fields.time("time");
  LogCite cite{fields.count("log_size"), fields.hex<32>("log_root")};

  explicit Context(const Change& c)
      : change(c), statement(parse_canonical(c.statement, "catalogue change " + std::to_string(c.number))) {}

  void require(bool condition, const char* why) const {
    if (!condition) throw Error(Errc::kDamaged, what + " is forged or damaged: " + why, "casevault verify");
  }
};

}  // namespace casevault
