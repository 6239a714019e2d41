#pragma once
#include <span>
#include <string>
#include <string_view>

namespace casevault {

// HTTP Message Signatures as far as RFC 9421 says how bytes are made; sign_request and check_request of
// vault/custody/wire.h are the one form of it that custodians take.

/// A component of a message: its identifier without quotes, and its value, without a newline.
struct SignedComponent {
  std::string_view name;
  std::string_view value;
};

/// `("@method" "@path")`: the covered components as RFC 9421 section 2.3 lists them.
std::string component_list(std::span<const SignedComponent> components);

/// RFC 9421 section 2.5: the bytes that are signed. `parameters`: the value of "@signature-params".
std::string signature_base(std::span<const SignedComponent> components, std::string_view parameters);

}  // namespace casevault
