#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"

#ifndef CASEVAULT_TESTS_DIR
#define CASEVAULT_TESTS_DIR "tests"
#endif

namespace casevault::test {

/// tests/support/https_server.py as a process of its own, ended on destruction. Construct it in SetUp: it skips
/// nothing, it throws where there is no Python with its package cryptography.
class HttpsServer {
 public:
  explicit HttpsServer(const std::vector<std::string>& options = {}) {
    int to[2] = {};
    int from[2] = {};
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(to[0], STDIN_FILENO);
      ::dup2(from[1], STDOUT_FILENO);
      run(options);
    }
    ::close(to[0]);
    ::close(from[1]);
    stdin_ = to[1];
    stdout_ = from[0];
    std::istringstream line(read_line());
    std::string pin;
    line >> port_ >> pin;
    pin_ = hex_array<32>(pin);
    for (const auto& option : options) {
      if (option == "--socks") proxy_port_ = std::stoi(read_line());
    }
  }
  ~HttpsServer() {
    ::close(stdin_);
    ::close(stdout_);
    ::waitpid(child_, nullptr, 0);
  }
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string proxy() const { return "127.0.0.1:" + std::to_string(proxy_port_); }
  int port() const { return port_; }
  const ByteArray<32>& pin() const { return pin_; }
  const TempFolder& folder() const { return folder_; }
  /// From now on the path is answered by these bytes.
  void can(const std::string& path, const std::string& bytes) const {
    std::string name = path.substr(1);
    std::ranges::replace(name, '/', '_');
    std::ofstream(folder_ / (name + ".new"), std::ios::binary) << bytes;
    std::filesystem::rename(folder_ / (name + ".new"), folder_ / name);
  }
  void can_body(const std::string& path, const std::string& body, const std::string& status = "200 OK") const {
    can(path, "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

 private:
  [[noreturn]] void run(const std::vector<std::string>& options) const {
    const std::string script = std::string(CASEVAULT_TESTS_DIR) + "/support/https_server.py";
    const std::string folder = folder_.path().native();
    std::vector<const char*> words{"/usr/bin/python3", script.c_str(), folder.c_str()};
    for (const auto& option : options) words.push_back(option.c_str());
    words.push_back(nullptr);
    ::execv(words[0], const_cast<char* const*>(words.data()));
    ::_exit(127);
  }

  std::string read_line() const {
    std::string line;
    for (char c = 0; ::read(stdout_, &c, 1) == 1 && c != '\n';) line += c;
    if (line.empty()) throw std::runtime_error("tests/support/https_server.py did not start");
    return line;
  }

  TempFolder folder_;
  pid_t child_ = -1;
  int stdin_ = -1;
  int stdout_ = -1;
  int port_ = 0;
  int proxy_port_ = 0;
  ByteArray<32> pin_{};
};

}  // namespace casevault::test
