#pragma once
#include <string>
#include <vector>

#include "vault/storage/catalog.h"
#include "vault/vault.h"

namespace casevault {

// Users' secrets take all custodians, and are dealt anew until all have them, as long as the user's slot does not hang
// on them. Notes in the catalogue tell how far that is; and, where a slot is about to hang on them, whether somebody
// dealt them anew meanwhile. They are nobody's signed word.

/// With the user, who has no secrets yet. Nothing without custody.
void announce_undealt(Catalog::Update& update, std::uint32_t custody_epoch, const UserId& user);
void begin_dealing(Session& session, std::uint32_t custody_epoch, const UserId& user);
/// Every custodian took them.
void end_dealing(Session& session, std::uint32_t custody_epoch, const UserId& user);

/// Whether the user's secrets are not known to be at all custodians. `notes`: what the catalogue has unfinished.
bool is_undealt(const std::vector<std::string>& notes, std::uint32_t custody_epoch, const UserId& user);
/// Whether it is a note of this kind that says nothing any more.
bool is_old_deal(const CatalogState& state, const std::string& note);

/// Notes about the session's own user: to be taken before custodians are asked for what a slot is sealed with.
std::vector<std::string> own_deals(Session& session, std::uint32_t custody_epoch);
/// @pre ExclusiveAccess. @throws Error{kBusy}
void require_same_deals(Session& session, std::uint32_t custody_epoch, const std::vector<std::string>& deals);

}  // namespace casevault
