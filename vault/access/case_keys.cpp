#include "vault/access/case_keys.h"

#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "vault/storage/catalog.h"

namespace casevault {
namespace {

TitleKey title_key(const CaseKey& key, const CaseId& id) {
  return derive_key<TitleKey>(key, "casevault/v1/case-title", id);
}

}  // namespace

Path case_path(const Path& folder, const CaseId& id, std::uint32_t epoch) {
  return folder / "cases" / (to_hex(id) + "." + std::to_string(epoch) + ".db");
}

DatabaseKey case_database_key(const CaseKey& key, const CaseId& id, std::uint32_t epoch,
                              const std::optional<CustodyShare>& share) {
  const auto place = concat({id, be32(epoch)});
  if (!share) return derive_key<DatabaseKey>(key, "casevault/v1/case-db", place);
  const auto own = derive_key<CaseKey>(key, "casevault/v1/case-db-own-half", place);
  return mix_keys<DatabaseKey>(own, "casevault/v1/case-db-custody", *share);
}

CaseKey open_case_key(Session& session, const Grant& grant, const std::string& what) {
  const auto sealed = session.catalog().blob(grant.sealed_key);
  auto key = sealed ? open_sealed_key<CaseKey>(session.identity().box, *sealed) : std::nullopt;
  if (!key) {
    throw Error(Errc::kDamaged, what + ": your key to it is lost or damaged",
                "ask somebody who manages the case to grant it again");
  }
  return std::move(*key);
}

Bytes seal_title(const std::string& title, const CaseId& id, const CaseKey& key) {
  return aead_seal(title_key(key, id), as_bytes(title), id);
}

std::string open_title(Session& session, const CaseEntry& entry, const CaseKey& key) {
  const auto sealed = session.catalog().blob(entry.title);
  const auto plain = sealed ? aead_open_content(title_key(key, entry.id), *sealed, entry.id) : std::nullopt;
  if (!plain) {
    throw Error(Errc::kDamaged, "C-" + std::to_string(entry.number) + ": its title is lost or damaged",
                "casevault verify");
  }
  return std::string(as_text(*plain));
}

}  // namespace casevault
