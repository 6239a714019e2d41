#include "vault/raid/message.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "crypto/error.h"

namespace casevault {
namespace {

constexpr std::size_t kLengthSize = 4;

struct alignas(cmsghdr) DescriptorSpace {
  std::array<std::byte, CMSG_SPACE(sizeof(int) * kMaxMessageDescriptors)> bytes{};
};

/// Takes ownership of what came, whatever becomes of the message.
std::vector<OwnedFd> take_descriptors(msghdr& header) {
  std::vector<OwnedFd> descriptors;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof(int), sizeof number);
      descriptors.emplace_back(number);
    }
  }
  return descriptors;
}

void attach(msghdr& header, DescriptorSpace& space, std::span<const int> descriptors) {
  header.msg_control = space.bytes.data();
  header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
}

}  // namespace

Bytes encode_texts(std::span<const std::string> texts) {
  Bytes out;
  for (const auto& text : texts) {
    const auto length = be32(static_cast<std::uint32_t>(text.size()));
    out.insert(out.end(), length.begin(), length.end());
    const auto bytes = as_bytes(text);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

std::optional<std::vector<std::string>> decode_texts(ByteView bytes, std::size_t max_texts) {
  std::vector<std::string> texts;
  while (!bytes.empty()) {
    if (bytes.size() < kLengthSize || texts.size() == max_texts) return std::nullopt;
    const std::size_t length = read_be32(bytes.first<kLengthSize>());
    bytes = bytes.subspan(kLengthSize);
    if (length > bytes.size()) return std::nullopt;
    texts.emplace_back(as_text(bytes.first(length)));
    bytes = bytes.subspan(length);
  }
  if (texts.empty()) return std::nullopt;
  return texts;
}

std::pair<OwnedFd, OwnedFd> make_socket_pair() {
  int ends[2] = {-1, -1};
  require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0, "cannot make sockets");
  return {OwnedFd(ends[0]), OwnedFd(ends[1])};
}

bool send_message(int socket, const std::vector<std::string>& texts, std::span<const int> descriptors) {
  Bytes content = encode_texts(texts);
  if (content.size() > kMaxMessageSize || descriptors.size() > kMaxMessageDescriptors) return false;
  iovec piece = {content.data(), content.size()};
  msghdr header = {};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  DescriptorSpace space;
  if (!descriptors.empty()) attach(header, space, descriptors);
  ssize_t sent = -1;
  do {
    sent = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(content.size());
}

Received receive_message(int socket) {
  Bytes content(kMaxMessageSize);
  iovec piece = {content.data(), content.size()};
  DescriptorSpace space;
  msghdr header = {};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = space.bytes.data();
  header.msg_controllen = space.bytes.size();
  const ssize_t size = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return {errno == EAGAIN || errno == EINTR ? Reception::kNothingYet : Reception::kEnd, {}};
  auto descriptors = take_descriptors(header);
  if (size == 0) return {Reception::kEnd, {}};
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return {Reception::kMalformed, {}};
  auto texts = decode_texts(ByteView(content).first(static_cast<std::size_t>(size)), kMaxMessageTexts);
  if (!texts) return {Reception::kMalformed, {}};
  return {Reception::kMessage, {std::move(*texts), std::move(descriptors)}};
}

Received await_message(int socket, int timeout_ms) {
  pollfd wait = {socket, POLLIN, 0};
  if (poll(&wait, 1, timeout_ms) <= 0) return {};
  return receive_message(socket);
}

}  // namespace casevault
