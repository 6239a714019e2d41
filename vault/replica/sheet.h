#pragma once
#include <optional>
#include <string>
#include <vector>

#include "crypto/slip39.h"
#include "vault/access/trustees.h"
#include "vault/storage/file.h"

namespace casevault {

inline constexpr std::size_t kMaxSheetFile = 65'536;  // bytes

/// What is the same on all sheets of a set.
struct SheetSet {
  std::string organisation;
  std::string fingerprint;  // of the vault
  std::int64_t time_ms = 0;
};

// Texts of sheets are secrets that leave the machine on paper. They are files a moment after they are made, so they are
// not kept in guarded memory.

/// The text file: what it is and what to do with it, in English and Russian; the words; a line for the program.
std::string sheet_text(const SheetSet& set, const NewRecoverySet& shares, std::size_t index);
/// The same to be printed on one page of A4, with the words as a QR code.
std::string sheet_html(const SheetSet& set, const NewRecoverySet& shares, std::size_t index);

/// `trustee-N.txt` and `trustee-N.html` for every share, 0600, in a new folder that appears with all of them or not at
/// all. Returns the text files. @throws Error{kUsage} when the name is taken.
std::vector<Path> write_sheets(const Path& folder, const SheetSet& set, const NewRecoverySet& shares);
/// @throws Error{kUsage} when write_sheets could not: before anybody is asked for a passphrase.
void check_sheet_folder(const Path& folder);

/// The words of a share in the content of a text file: what stands on the program's line, else all of it.
SecretBytes words_in_sheet(ByteView file);

struct ShreddedSheets {
  std::size_t files = 0;
  std::vector<std::string> left;  // names of what is no sheet: it stays, and so does the folder
};
/// Overwrites every sheet in the folder in place, syncs, unlinks it, then the folder if nothing else is in it.
/// @throws Error: kNotFound when there is no sheet in it.
ShreddedSheets shred_sheets(const Path& folder);

}  // namespace casevault
