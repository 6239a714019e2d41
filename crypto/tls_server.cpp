#include "crypto/tls_server.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "crypto/error.h"
#include "crypto/openssl_pointers.h"

namespace casevault {
namespace {

SSL_CTX* context_of(void* context) { return static_cast<SSL_CTX*>(context); }
SSL* ssl_of(void* ssl) { return static_cast<SSL*>(ssl); }

BioPtr bio_over(ByteView bytes) { return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))); }

bool use_certificate(SSL_CTX* context, const std::string& pem) {
  const BioPtr bio = bio_over(as_bytes(pem));
  const X509Ptr certificate(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  return certificate && SSL_CTX_use_certificate(context, certificate.get()) == 1;
}

// OpenSSL keeps its own copy, in ordinary memory.
bool use_private_key(SSL_CTX* context, const SecretBytes& pem) {
  const BioPtr bio = bio_over(pem.expose_secret());
  const PkeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  return key && SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

bool restrict_protocol(SSL_CTX* context) {
  // Resumption would keep secrets of old connections in memory, and early data can be replayed.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(context, 0) == 1 &&
         SSL_CTX_set_max_early_data(context, 0) == 1;
}

void save_memory(SSL_CTX* context) {
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);  // one system call for a record instead of two
}

}  // namespace

TlsServer::TlsServer(const SecretBytes& private_key, const std::string& certificate)
    : context_(SSL_CTX_new(TLS_server_method())) {
  SSL_CTX* const context = context_of(context_.get());
  require(context && restrict_protocol(context), "TLS 1.3 cannot be set up");
  save_memory(context);
  const bool fit = use_certificate(context, certificate) && use_private_key(context, private_key) &&
                   SSL_CTX_check_private_key(context) == 1;
  if (!fit) throw Error(Errc::kDamaged, "the TLS key and its certificate do not belong together");
}

TlsConnection TlsServer::accept(int descriptor) const {
  TlsConnection connection(SSL_new(context_of(context_.get())));
  SSL* const ssl = ssl_of(connection.ssl_.get());
  require(ssl && SSL_set_fd(ssl, descriptor) == 1, "no memory for a TLS connection");
  SSL_set_accept_state(ssl);
  return connection;
}

TlsConnection::Step TlsConnection::step_after(int result) {
  const int error = SSL_get_error(ssl_of(ssl_.get()), result);
  if (error == SSL_ERROR_NONE) return Step::kDone;
  if (error == SSL_ERROR_WANT_READ) return Step::kWantRead;
  if (error == SSL_ERROR_WANT_WRITE) return Step::kWantWrite;
  return Step::kClosed;
}

// Errors of one connection left in the thread's queue would be taken for those of the next.
TlsConnection::Step TlsConnection::handshake() {
  ERR_clear_error();
  return step_after(SSL_do_handshake(ssl_of(ssl_.get())));
}

TlsConnection::Progress TlsConnection::read(std::span<std::byte> out) {
  ERR_clear_error();
  Progress progress;
  progress.step = step_after(SSL_read_ex(ssl_of(ssl_.get()), out.data(), out.size(), &progress.bytes));
  return progress;
}

TlsConnection::Progress TlsConnection::write(ByteView data) {
  ERR_clear_error();
  Progress progress;
  progress.step = step_after(SSL_write_ex(ssl_of(ssl_.get()), data.data(), data.size(), &progress.bytes));
  return progress;
}

void TlsConnection::close() noexcept {
  ERR_clear_error();
  SSL_shutdown(ssl_of(ssl_.get()));  // after an error it sends nothing
}

void TlsServer::Free::operator()(void* context) const { SSL_CTX_free(context_of(context)); }
void TlsConnection::Free::operator()(void* ssl) const { SSL_free(ssl_of(ssl)); }

}  // namespace casevault
