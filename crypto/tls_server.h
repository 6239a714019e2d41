#pragma once
#include <memory>
#include <string>

#include "crypto/secret.h"

namespace casevault {

class TlsConnection;

/// What the TLS connections of one server share: TLS 1.3 only, no tickets, no resumption, no early data, no client
/// certificates. Idle connections hold no record buffers.
class TlsServer {
 public:
  /// Both PEM. @throws Error{kDamaged} when the two are not a key and its certificate.
  TlsServer(const SecretBytes& private_key, const std::string& certificate);
  /// One on a connected, non-blocking socket, which stays the caller's, as does waiting for it.
  TlsConnection accept(int descriptor) const;

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;  // SSL_CTX
};

/// The server's end of one TLS connection. Not thread-safe.
class TlsConnection {
 public:
  enum class Step {
    kDone,
    kWantRead,   ///< call again when the socket can be read
    kWantWrite,  ///< call again when the socket can be written
    kClosed,     ///< the peer ended it in due form, or it broke: it is of no more use
  };
  struct Progress {
    Step step = Step::kClosed;
    std::size_t bytes = 0;  // read or written; more than 0 exactly when kDone
  };

  Step handshake();
  /// At most `out`; call until kWantRead before waiting, because bytes may be buffered here.
  Progress read(std::span<std::byte> out);
  /// May write less than all. The same bytes again after kWantWrite or kWantRead, maybe at another address.
  Progress write(ByteView data);
  /// Tells the peer that nothing more will come, as far as that can be told without waiting.
  void close() noexcept;

 private:
  friend class TlsServer;
  explicit TlsConnection(void* ssl) : ssl_(ssl) {}
  Step step_after(int result);
  struct Free {
    void operator()(void* ssl) const;
  };
  std::unique_ptr<void, Free> ssl_;  // SSL
};

}  // namespace casevault
