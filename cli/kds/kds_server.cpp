#include "cli/kds/kds_server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "cli/kds/bounded_http.hpp"
#include "platform/kds.hpp"

namespace softsnp::kds {
namespace {

void answer(const platform::Platform& platform, const httplib::Request& request,
            httplib::Response& response) {
  if (request.method != "GET" && request.method != "HEAD") {
    response.status = 405;
    response.set_header("Allow", "GET, HEAD");
    response.set_content("expected GET or HEAD\n", "text/plain");
    return;
  }
  const platform::KdsAnswer made = platform::answer_kds(platform, request.target);
  response.status = made.status;
  response.set_content(made.body, made.content_type);
}

}  // namespace

struct KdsServer::Impl {
  BoundedHttpServer http;
  int port = 0;
  std::thread thread;
};

KdsServer::KdsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KdsServer::KdsServer(KdsServer&&) noexcept = default;
KdsServer::~KdsServer() {
  if (impl_) {
    stop();
  }
}

Result<KdsServer, std::string> KdsServer::listen(const platform::Platform& platform,
                                                 const Endpoint& at) {
  auto impl = std::make_unique<Impl>();
  const auto handler = [&platform](const httplib::Request& request, httplib::Response& response) {
    answer(platform, request, response);
    return httplib::Server::HandlerResponse::Handled;
  };
  impl->http.set_pre_routing_handler(handler);
  errno = 0;
  if (at.port == 0) {
    impl->port = impl->http.bind_to_any_port(at.address);
  } else {
    impl->port = impl->http.bind_to_port(at.address, at.port) ? at.port : -1;
  }
  if (impl->port <= 0) {
    return Failure{fmt::format("cannot listen on {} port {}: {}", at.address, at.port,
                               errno != 0 ? std::strerror(errno) : "no such address")};
  }
  return KdsServer(std::move(impl));
}

u16 KdsServer::port() const {
  return static_cast<u16>(impl_->port);
}
bool KdsServer::is_running() const {
  return impl_->http.is_running();
}

void KdsServer::start() {
  impl_->thread = std::thread([http = &impl_->http] { http->listen_after_bind(); });
  // stop() before that would be forgotten.
  while (!impl_->http.is_running()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void KdsServer::stop() {
  impl_->http.end_connections();
  impl_->http.stop();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
}

}  // namespace softsnp::kds
