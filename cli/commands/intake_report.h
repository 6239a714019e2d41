#pragma once
#include <string>
#include <string_view>

#include "cli/command.h"
#include "vault/records/intake.h"

namespace casevault {

/// Prints each added file to standard output, each skipped one as a warning, and the progress bar.
IntakeObserver intake_observer(Invocation& call, const char* what);
/// One added file or testimony.
void print_added(Invocation& call, const Added& added);
/// `type/subtype` of RFC 6838, without parameters.
bool is_media_type(std::string_view text);

}  // namespace casevault
