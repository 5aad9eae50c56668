// softsnp-kds DIRECTORY ADDRESS PORT: what softsnp kds becomes once it knows them. A program of its
// own, so that only it loads what an HTTP server needs.
#include <fmt/format.h>
#include <pthread.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <exception>
#include <span>

#include "cli/kds/kds_server.hpp"
#include "platform/directory.hpp"

namespace softsnp::kds {
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

int serve(const std::string& directory, const Endpoint& at) {
  const auto platform = platform::load(directory);
  if (!platform) {
    return refuse(platform.error());
  }
  const sigset_t signals = hold_end_signals();
  auto server = KdsServer::listen(*platform, at);
  if (!server) {
    return refuse("--listen: " + server.error());
  }
  server->start();
  const bool is_six = at.address.find(':') != std::string::npos;
  fmt::print("http://{}:{}\n", is_six ? "[" + at.address + "]" : at.address, server->port());
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

int run(std::span<char* const> arguments) {
  if (arguments.size() != 4) {
    return refuse("softsnp-kds is started by softsnp kds");
  }
  Endpoint at{arguments[2], 0};
  const std::string_view port = arguments[3];
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), at.port);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) {
    return refuse("softsnp-kds: the port is no number");
  }
  return serve(arguments[1], at);
}

}  // namespace
}  // namespace softsnp::kds

int main(int argc, char** argv) {
  try {
    return softsnp::kds::run({argv, static_cast<softsnp::usize>(argc)});
  } catch (const std::exception& error) {  // the host has no memory left, and the like
    fmt::print(stderr, "softsnp: internal fault: {}\n", error.what());
    return 1;
  }
}
