#include "cli/kds/bounded_http.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace softsnp::kds {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr usize largest_head = 16 << 10;
constexpr milliseconds time_for_head(5000), time_for_answer(5000), time_for_rest(500);
constexpr milliseconds look_around(50);  // how often a wait looks whether all is to end
constexpr usize threads = 16;

class Connection {
 public:
  Connection(socket_t socket, const std::atomic<bool>& ending) : socket_(socket), ending_(ending) {}
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  socket_t socket() const { return socket_; }

  // Bytes, 0 at the other's end, less than 0 after an error or too long a time.
  ssize_t receive(char* to, usize size, Clock::time_point until) const {
    return wait(POLLIN, until) ? ::recv(socket_, to, size, 0) : -1;
  }
  bool send(const char* from, usize size, Clock::time_point until) const {
    while (size != 0) {
      const ssize_t put =
          wait(POLLOUT, until) ? ::send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
      if (put <= 0) {
        return false;
      }
      from += put;
      size -= static_cast<usize>(put);
    }
    return true;
  }
  // Takes what the other still sends: closing over unread bytes would reset the connection, and the
  // answer might be lost with it.
  void finish() const {
    ::shutdown(socket_, SHUT_WR);
    char rest[4096];
    const auto until = Clock::now() + time_for_rest;
    usize most = 64;
    while (most-- != 0 && receive(rest, sizeof rest, until) > 0) {
    }
  }

 private:
  bool wait(short what, Clock::time_point until) const {
    while (!ending_) {
      const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
      if (left <= milliseconds(0)) {
        return false;
      }
      pollfd descriptor{socket_, what, 0};
      if (::poll(&descriptor, 1, static_cast<int>(std::min(left, look_around).count())) > 0) {
        return true;
      }
    }
    return false;
  }

  socket_t socket_;
  const std::atomic<bool>& ending_;
};

// A request's head that was read before; the answer goes to the connection.
class HeadStream final : public httplib::Stream {
 public:
  HeadStream(const Connection& connection, std::string head)
      : connection_(connection), head_(std::move(head)), until_(Clock::now() + time_for_answer) {}

  bool is_readable() const override { return at_ < head_.size(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, size_t size) override {
    const usize count = std::min(size, head_.size() - at_);
    std::memcpy(to, head_.data() + at_, count);
    at_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, size_t size) override {
    return connection_.send(from, size, until_) ? static_cast<ssize_t>(size) : -1;
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return connection_.socket(); }

 private:
  const Connection& connection_;
  std::string head_;
  usize at_ = 0;
  Clock::time_point until_;
};

enum class Head : u8 { complete, too_large, none };

// Up to the empty line. What follows it is a body, which nobody here wants. Of the head only the
// request line stays: no answer depends on header fields, and what the library does with them
// (ranges, encodings, lengths) need not be trusted.
Head read_head(const Connection& connection, std::string& head) {
  constexpr std::string_view end = "\r\n\r\n";
  const auto until = Clock::now() + time_for_head;
  char part[4096];
  while (head.size() <= largest_head) {
    const ssize_t got = connection.receive(part, sizeof part, until);
    if (got <= 0) {
      return Head::none;
    }
    const usize from = head.size() < end.size() ? 0 : head.size() - end.size();
    head.append(part, static_cast<usize>(got));
    const usize found = head.find(end, from);
    if (found != head.npos) {
      head.resize(head.find("\r\n"));
      head += end;
      return Head::complete;
    }
  }
  return Head::too_large;
}

// Not SO_REUSEPORT, which is the library's default: a port in use is to be an error.
void socket_options(socket_t socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

}  // namespace

BoundedHttpServer::BoundedHttpServer() {
  set_socket_options(socket_options);
  new_task_queue = [] { return new httplib::ThreadPool(threads); };
}

bool BoundedHttpServer::process_and_close_socket(socket_t socket) {
  constexpr std::string_view too_large =
      "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
      "Content-Type: text/plain\r\nContent-Length: 36\r\n\r\nthe request's head is above 16 KiB.\n";
  const Connection connection(socket, ending_);
  std::string head;
  const Head result = read_head(connection, head);
  if (result == Head::none) {
    return false;
  }
  if (result == Head::too_large) {
    connection.send(too_large.data(), too_large.size(), Clock::now() + time_for_answer);
  } else {
    HeadStream stream(connection, std::move(head));
    bool closed = false;
    constexpr bool close_after = true;
    process_request(stream, close_after, closed, nullptr);
  }
  connection.finish();
  return true;
}

}  // namespace softsnp::kds
