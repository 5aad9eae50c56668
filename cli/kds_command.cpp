#include "cli/kds_command.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <csignal>
#include <cstdio>

#include "cli/kds_server.hpp"
#include "platform/directory.hpp"
#include "platform/product.hpp"

namespace softsnp::cli {
namespace {

constexpr int bad_input = 2;

int refuse(const std::string& text) {
  fmt::print(stderr, "softsnp: {}\n", text);
  return bad_input;
}

// Held back in all threads that start from now on; one waits for them.
sigset_t hold_end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

bool end_signal_within_a_second(const sigset_t& signals) {
  const timespec second{1, 0};
  return ::sigtimedwait(&signals, nullptr, &second) > 0;
}

}  // namespace

int kds_command(const KdsOptions& options) {
  const auto platform = platform::load(options.directory);
  if (!platform) {
    return refuse(platform.error());
  }
  const sigset_t signals = hold_end_signals();
  auto server = KdsServer::listen(*platform, options.listen);
  if (!server) {
    return refuse("--listen: " + server.error());
  }
  server->start();
  const bool is_six = options.listen.address.find(':') != std::string::npos;
  fmt::print("http://{}:{}\n", is_six ? "[" + options.listen.address + "]" : options.listen.address,
             server->port());
  std::fflush(stdout);  // whoever waits for the port may be a pipe
  while (server->is_running() && !end_signal_within_a_second(signals)) {
  }
  const bool was_asked = server->is_running();
  server->stop();
  if (!was_asked) {
    fmt::print(stderr, "softsnp: the server's socket failed\n");
  }
  return was_asked ? 0 : 1;
}

}  // namespace softsnp::cli
