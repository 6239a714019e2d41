#include "vault/storage/header.h"

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::string_view kDomain = "casevault/v1/header";
constexpr std::uint64_t kMaxMemoryBytes = std::uint64_t{4} << 30;
constexpr std::uint64_t kMaxPasses = 64;

nlohmann::json unsigned_fields(const Header& header) {
  nlohmann::json fields = {{"casevault", "vault"},
                           {"format", kFormatVersion},
                           {"vault", to_hex(header.vault_id)},
                           {"salt", to_hex(header.salt)},
                           {"argon2id", {{"memory_bytes", header.cost.memory_bytes}, {"passes", header.cost.passes}}},
                           {"audit_key", to_hex(header.audit_key.bytes)},
                           {"root_key", to_hex(header.root_key.bytes)}};
  for (const auto& plan : header.custody) fields["custody"].push_back(to_json(plan));
  return fields;
}

[[noreturn]] void fail() {
  throw Error(Errc::kDamaged, "vault.json is damaged", "restore vault.json from a copy of the vault");
}

/// Told apart from damage even where a newer format has fields that we do not know.
void refuse_newer_format(ByteView file) {
  const auto parsed = nlohmann::json::parse(as_text(file), nullptr, false);
  if (!parsed.is_object() || parsed.value("casevault", nlohmann::json()) != "vault") fail();
  const auto format = parsed.value("format", nlohmann::json());
  if (!format.is_number_unsigned()) fail();
  if (format.get<std::uint64_t>() > kFormatVersion) {
    throw Error(Errc::kNoVault, "this vault was made by a newer casevault",
                "install a newer casevault; casevault version");
  }
}

Argon2Cost parse_cost(const nlohmann::json& object, const Argon2Cost& floor) {
  if (!object.is_object()) fail();
  Fields fields(object, "vault.json");
  const auto memory = fields.count("memory_bytes");
  const auto passes = fields.count("passes");
  fields.end();
  if (memory < floor.memory_bytes || passes < floor.passes || memory > kMaxMemoryBytes || passes > kMaxPasses) {
    throw Error(Errc::kDamaged, "vault.json asks for a passphrase cost outside what is safe: it was altered",
                "restore vault.json from a copy of the vault");
  }
  return {static_cast<std::uint32_t>(passes), memory};
}

std::vector<CustodyPlan> parse_custody(Fields& fields) {
  std::vector<CustodyPlan> plans;
  for (const auto& item : fields.list("custody", kMaxCustodyPlans)) {
    plans.push_back(custody_plan_from_json(item, "vault.json"));
    if (plans.size() > 1 && plans.back().epoch <= plans[plans.size() - 2].epoch) fail();
  }
  if (plans.empty()) fail();
  return plans;
}

}  // namespace

const CustodyPlan* Header::custody_of(std::uint32_t epoch) const {
  const auto found = std::ranges::find(custody, epoch, &CustodyPlan::epoch);
  return found == custody.end() ? nullptr : &*found;
}

Bytes encode_header(const Header& header, const SigningKey& root) {
  auto fields = unsigned_fields(header);
  fields["signature"] = to_base64(root.sign(kDomain, as_bytes(fields.dump())));
  const auto text = fields.dump() + "\n";
  return {as_bytes(text).begin(), as_bytes(text).end()};
}

Header parse_header(ByteView file, const Argon2Cost& floor) {
  refuse_newer_format(file);
  if (file.empty() || file.back() != std::byte{'\n'}) fail();
  auto parsed = parse_canonical(as_text(file.first(file.size() - 1)), "vault.json");
  Fields fields(parsed, "vault.json");
  Header header;
  if (fields.text("casevault") != "vault" || fields.count("format") != kFormatVersion) fail();
  header.vault_id = fields.hex<16>("vault");
  header.salt = fields.hex<16>("salt");
  header.cost = parse_cost(fields.any("argon2id"), floor);
  header.audit_key.bytes = fields.hex<32>("audit_key");
  header.root_key.bytes = fields.hex<32>("root_key");
  if (parsed.contains("custody")) header.custody = parse_custody(fields);
  const auto signature = from_base64(fields.text("signature"));
  fields.end();
  if (!signature || signature->size() != 64) fail();
  const auto message = unsigned_fields(header).dump();
  if (!verify(header.root_key, kDomain, as_bytes(message), to_array<64>(*signature))) fail();
  return header;
}

}  // namespace casevault
