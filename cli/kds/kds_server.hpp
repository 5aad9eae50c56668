// The key distribution server on a socket. HTTP is cpp-httplib's; this adds the bounds that it does
// not have: a request head of limited size in limited time, one request a connection.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "platform/platform.hpp"

namespace softsnp::kds {

struct Endpoint {
  std::string address;
  u16 port = 0;  // 0: any that is free
};

class KdsServer {
 public:
  // platform outlives the server. One line about why it cannot listen there.
  static Result<KdsServer, std::string> listen(const platform::Platform& platform,
                                               const Endpoint& at);
  KdsServer(KdsServer&&) noexcept;
  ~KdsServer();  // stops

  u16 port() const;
  // Answers in threads of its own until stop().
  void start();
  // Ends what is under way within a moment.
  void stop();
  bool is_running() const;

 private:
  struct Impl;
  explicit KdsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace softsnp::kds
