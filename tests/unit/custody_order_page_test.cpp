#include "vault/custody/order_page.h"

#include <gmock/gmock.h>

#include <string>

#include "crypto/encoding.h"
#include "crypto/hash.h"

namespace casevault {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string_view between(std::string_view text, std::string_view begin, std::string_view end) {
  const auto at = text.find(begin) + begin.size();
  return text.substr(at, text.find(end, at) - at);
}

std::string hash_of(std::string_view text) { return "'sha256-" + to_base64(sha256(as_bytes(text))) + "'"; }

TEST(OrderPage, PolicyAllowsItsOwnScriptAndStyleAndNothingElse) {
  const auto page = order_page_html();
  const std::string script = hash_of(between(page, "<script>", "</script>"));
  const std::string style = hash_of(between(page, "<style>", "</style>"));
  EXPECT_EQ(std::string(order_page_csp())
                .find("default-src 'none'; script-src " + script + "; style-src " + style + "; connect-src 'self'; "),
            0u);
  EXPECT_THAT(std::string(order_page_csp()), Not(HasSubstr("unsafe")));
}

TEST(OrderPage, HasOneScriptAndNothingRemoteOrInAttributes) {
  const std::string page(order_page_html());
  EXPECT_EQ(page.find("<script"), page.rfind("<script"));
  EXPECT_EQ(page.find("<style"), page.rfind("<style"));
  for (const char* never :
       {"{style}", "{script}", " src=", " style=", " onclick=", "@import", " url(", ":url(", "innerHTML"}) {
    EXPECT_THAT(page, Not(HasSubstr(never)));
  }
}

}  // namespace
}  // namespace casevault
