// cpp-httplib's server behind a stream of our own. The library reads request heads of any number of
// lines, each line with a new time-out: a client could keep a thread for ever and fill the memory.
#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <string>

#include "base/types.hpp"

namespace softsnp::kds {

class BoundedHttpServer final : public httplib::Server {
 public:
  BoundedHttpServer();

  // Connections under way end within a moment, new ones at once. For good.
  void end_connections() { ending_ = true; }

 private:
  bool process_and_close_socket(socket_t socket) override;

  std::atomic<bool> ending_ = false;
};

}  // namespace softsnp::kds
