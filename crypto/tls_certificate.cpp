#include "crypto/tls_certificate.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "crypto/error.h"
#include "crypto/openssl_pointers.h"
#include "crypto/random.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

constexpr std::int64_t kDay = 86'400;  // seconds
constexpr std::int64_t kLifetime = 3'653 * kDay;
constexpr std::size_t kMaxCommonName = 64;  // characters

void check(bool holds) { require(holds, "tls certificate: OpenSSL failed"); }

std::string_view content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

// Cut between characters: continuation bytes are 10xxxxxx.
std::string_view first_characters(std::string_view text, std::size_t count) {
  std::size_t end = 0;
  while (end < text.size() && count > 0) {
    do {
      ++end;
    } while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
    --count;
  }
  return text.substr(0, end);
}

void set_names(X509* certificate, std::string_view name) {
  const auto common = first_characters(name, kMaxCommonName);
  X509_NAME* subject = X509_get_subject_name(certificate);
  check(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common.data()),
                                   static_cast<int>(common.size()), -1, 0) == 1);
  check(X509_set_issuer_name(certificate, subject) == 1);
}

// Positive, and at most 20 octets (RFC 5280 section 4.1.2.2).
void set_random_serial(X509* certificate) {
  auto serial = random_array<16>();
  serial[0] = (serial[0] & std::byte{0x3F}) | std::byte{0x40};
  std::unique_ptr<BIGNUM, OpensslFree<BN_free>> number(
      BN_bin2bn(raw(serial), static_cast<int>(serial.size()), nullptr));
  check(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr);
}

void add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  check(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

X509Ptr self_signed(EVP_PKEY* key, std::string_view name, std::int64_t now) {
  X509Ptr certificate(X509_new());
  check(certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1);
  set_random_serial(certificate.get());
  set_names(certificate.get(), name);
  check(ASN1_TIME_set(X509_getm_notBefore(certificate.get()), static_cast<time_t>(now - kDay)) != nullptr);
  check(ASN1_TIME_set(X509_getm_notAfter(certificate.get()), static_cast<time_t>(now + kLifetime)) != nullptr);
  check(X509_set_pubkey(certificate.get(), key) == 1);
  add_extension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(certificate.get(), NID_ext_key_usage, "serverAuth");
  check(X509_sign(certificate.get(), key, EVP_sha256()) > 0);
  return certificate;
}

// OpenSSL's own copies are in ordinary memory, and so will be the one that TLS uses; this one is wiped at once.
SecretBytes private_pem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  check(bio && PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  const auto pem = content(bio.get());
  auto out = SecretBytes::copy_of(as_bytes(pem));
  OPENSSL_cleanse(const_cast<char*>(pem.data()), pem.size());
  return out;
}

ByteArray<32> pin_of(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  check(size > 0);
  const std::unique_ptr<unsigned char, decltype([](unsigned char* p) { OPENSSL_free(p); })> owner(der);
  return sha256(std::as_bytes(std::span(der, static_cast<std::size_t>(size))));
}

}  // namespace

TlsCertificate make_tls_certificate(std::string_view name, std::int64_t now) {
  const PkeyPtr key(EVP_EC_gen("P-256"));
  check(key != nullptr);
  const auto certificate = self_signed(key.get(), name, now);
  const BioPtr pem(BIO_new(BIO_s_mem()));
  check(pem && PEM_write_bio_X509(pem.get(), certificate.get()) == 1);
  return {std::string(content(pem.get())), private_pem(key.get()), pin_of(certificate.get())};
}

}  // namespace casevault
