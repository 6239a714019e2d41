#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "vault/custody/wire.h"
#include "vault/storage/file.h"

namespace casevault {

inline constexpr std::size_t kMaxCardFile = 65'536;     // bytes
inline constexpr std::size_t kMaxCardLabel = 200;       // bytes of the organisation's label
inline constexpr std::uint32_t kMaxCardNumber = 9'999;  // cards that were replaced count on

/// What somebody outside the office needs to give orders: docs/custody-protocol.md section 1, "Card". It opens nothing;
/// whoever has it can sign orders as this card.
struct OrderCard {
  std::uint32_t number = 0;  // 1 … kMaxCardNumber
  std::string organisation;  // a label that the owner chose; may be empty
  VaultId vault{};
  CustodySalt salt{};  // for the ids of users, cases and devices
  SigningSeed seed;
  std::vector<CustodianAddress>
      custodians;               // without box keys, which are zero: nobody seals to a custodian with a card
  std::int64_t expires_ms = 0;  // 0: never
};

// Texts of cards are secrets that leave the machine on paper. They are files already where they are read, and files a
// moment after they are made, so they are not kept in guarded memory.

/// The line that is the card, without a newline. @throws Error{kUsage} when a label or an address cannot be on one.
std::string card_line(const OrderCard& card);
/// The text file: what it is and what to do with it behind `#`, in English and Russian, and the line.
std::string card_text(const OrderCard& card);
/// To be printed on A4, one page for up to five custodians: English and Russian, with the line as a QR code where it
/// fits into one (about eight custodians). No script, nothing remote.
std::string card_html(const OrderCard& card);
/// From the text file, or the line alone. Strict: card_line gives the same line back.
/// @throws Error{kUsage}: it is typed or pasted by people.
OrderCard parse_card(std::string_view text);

/// `card-N.txt` and `card-N.html` in a folder that is there, 0600. @throws Error{kUsage} when a name is taken.
void write_card(const Path& folder, const OrderCard& card);

}  // namespace casevault
