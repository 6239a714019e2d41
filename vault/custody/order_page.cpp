#include "vault/custody/order_page.h"

#include <string>

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "vault/custody/order_page_text.h"

namespace casevault {
namespace {

std::string assemble() {
  std::string page(kOrderPageHtml);
  for (const auto& [mark, text] :
       {std::pair<std::string_view, std::string_view>{"{style}", kOrderPageStyle}, {"{script}", kOrderPageScript}}) {
    page.replace(page.find(mark), mark.size(), text);
  }
  return page;
}

std::string source_of(std::string_view text) { return "'sha256-" + to_base64(sha256(as_bytes(text))) + "'"; }

std::string policy() {
  return "default-src 'none'; script-src " + source_of(kOrderPageScript) + "; style-src " + source_of(kOrderPageStyle) +
         "; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
         "require-trusted-types-for 'script'; trusted-types 'none'";
}

}  // namespace

std::string_view order_page_html() {
  static const std::string page = assemble();
  return page;
}

std::string_view order_page_csp() {
  static const std::string value = policy();
  return value;
}

}  // namespace casevault
