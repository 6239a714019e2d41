#include "vault/replica/layout.h"

#include <algorithm>

namespace casevault {
namespace {

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Decimal, without leading zeros, at most ten digits.
bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 10 && text.front() != '0' &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool remove_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool remove_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

/// `<32 hex>.<epoch>.db`
bool is_case_database(std::string_view name) {
  if (!remove_suffix(name, ".db") || name.size() < 34 || name[32] != '.') return false;
  return is_hex(name.substr(0, 32), 32) && is_number(name.substr(33));
}

}  // namespace

std::string object_name(const Sha256Digest& hash) {
  const auto hex = to_hex(hash);
  return "objects/" + hex.substr(0, 2) + "/" + hex;
}

std::string body_object_name(std::string_view body) {
  return "bodies/" + std::string(body.substr(0, 2)) + "/" + std::string(body);
}

std::string snapshot_name(std::uint64_t number, const Sha256Digest& hash) {
  const auto digits = std::to_string(number);
  const std::string zeros(digits.size() < 8 ? 8 - digits.size() : 0, '0');
  return std::string(kSnapshotFolder) + zeros + digits + "-" + to_hex(hash).substr(0, 16) + ".json";
}

bool is_snapshot_name(std::string_view name) {
  if (!remove_prefix(name, kSnapshotFolder) || !remove_suffix(name, ".json")) return false;
  const auto dash = name.find('-');
  if (dash == std::string_view::npos || dash < 8 || dash > 10) return false;
  const auto digits = name.substr(0, dash);
  return std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }) && is_hex(name.substr(dash + 1), 16);
}

namespace {

/// `<folder>/<2 hex>/` before the rest, which is what remains of `name`.
bool remove_folder(std::string_view& name, std::string_view folder, std::string_view& two) {
  if (!remove_prefix(name, folder) || name.size() < 3 || name[2] != '/') return false;
  two = name.substr(0, 2);
  name.remove_prefix(3);
  return is_hex(two, 2);
}

}  // namespace

bool is_replica_object(std::string_view name) {
  if (is_snapshot_name(name)) return true;
  std::string_view two;
  if (remove_folder(name, "bodies/", two)) return is_hex(name, 32) && name.starts_with(two);
  return remove_folder(name, "objects/", two) && is_hex(name, 64) && name.starts_with(two);
}

bool is_replica_leftover(std::string_view name) {
  std::string_view two;
  const bool is_inside = remove_folder(name, "bodies/", two) || remove_folder(name, "objects/", two) ||
                         remove_prefix(name, kSnapshotFolder);
  return is_inside && remove_prefix(name, ".") && remove_suffix(name, ".partial") && is_hex(name, 16);
}

bool is_replicated_file(std::string_view name) {
  remove_prefix(name, "spare/");
  if (name == "vault.json" || name == "slots" || name == "audit/log") return true;
  if (remove_prefix(name, "handover/")) return is_number(name) || (remove_prefix(name, "join-") && is_hex(name, 16));
  remove_suffix(name, "-journal");
  return name == "catalog.db" || (remove_prefix(name, "cases/") && is_case_database(name));
}

bool is_body_id(std::string_view name) { return is_hex(name, 32); }

}  // namespace casevault
