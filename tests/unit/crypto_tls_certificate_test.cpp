#include "crypto/tls_certificate.h"

#include <sys/wait.h>

#include "crypto/key_file.h"
#include "crypto/random.h"
#include "tests/support/temp_folder.h"

namespace casevault {
namespace {

using namespace test;

constexpr std::int64_t kNow = 1'760'000'000;

/// What stock openssl says.
std::string openssl(const TempFolder& folder, const std::string& arguments) {
  const auto out = (folder / "out").native();
  const int status = std::system(("openssl " + arguments + " > " + out + " 2>&1").c_str());
  const auto said = read_file(out);
  return std::to_string(WEXITSTATUS(status)) + " " + std::string(as_text(said));
}

class TlsCertificates : public testing::Test {
 protected:
  void SetUp() override {
    init_crypto();
    made = make_tls_certificate("Права людини", kNow);
    write_file(folder / "cert.pem", as_bytes(made.certificate));
    write_file(folder / "key.pem", made.private_key.expose_secret());
  }
  std::string path(const std::string& name) const { return (folder / name).native(); }
  TempFolder folder;
  TlsCertificate made;
};

TEST_F(TlsCertificates, AreWhatStockToolsTake) {
  EXPECT_TRUE(openssl(folder, "verify -attime " + std::to_string(kNow) + " -CAfile " + path("cert.pem") + " " +
                                  path("cert.pem"))
                  .starts_with("0 "));
  const auto text = openssl(folder, "x509 -in " + path("cert.pem") + " -noout -text -nameopt utf8");
  for (const auto* part : {"CN=Права людини", "prime256v1", "ecdsa-with-SHA256", "Version: 3", "Not Before: Oct  8",
                           "Not After : Oct 10 08:53:20 2035", "CA:FALSE", "Digital Signature"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST_F(TlsCertificates, PinTheirKey) {
  openssl(folder, "pkey -in " + path("key.pem") + " -pubout -outform DER -out " + path("key.der"));
  EXPECT_EQ(made.pin, sha256(read_file(path("key.der"))));
  const auto other = make_tls_certificate("x", kNow);
  EXPECT_NE(other.pin, made.pin);
}

TEST_F(TlsCertificates, CutLongNamesBetweenCharacters) {
  std::string name;
  for (int i = 0; i < 100; ++i) name += "ж";
  write_file(folder / "cert.pem", as_bytes(make_tls_certificate(name, kNow).certificate));
  const auto text = openssl(folder, "x509 -in " + path("cert.pem") + " -noout -subject -nameopt utf8");
  EXPECT_NE(text.find(name.substr(0, 128)), std::string::npos) << text;
  EXPECT_EQ(text.find(name.substr(0, 130)), std::string::npos);
}

TEST(KeyFiles, HoldExactlyAKey) {
  init_crypto();
  const auto key = DatabaseKey::random();
  Bytes written;
  write_key(key, [&](ByteView bytes) { written.assign(bytes.begin(), bytes.end()); });
  ASSERT_EQ(written.size(), 32u);
  EXPECT_TRUE(std::ranges::equal(read_key<DatabaseKey>(source_of(written))->expose_secret(), key.expose_secret()));
  EXPECT_FALSE(read_key<DatabaseKey>(source_of(ByteView(written).first(31))));
  written.push_back({});
  EXPECT_FALSE(read_key<DatabaseKey>(source_of(written)));
}

}  // namespace
}  // namespace casevault
