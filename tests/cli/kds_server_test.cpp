// The key distribution server over real sockets, with clients of all sorts.
#include "cli/kds/kds_server.hpp"

#include <arpa/inet.h>
#include <httplib.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>

#include "cli/platform_options.hpp"
#include "platform/kds.hpp"
#include "tests/platform/fixture.hpp"

namespace softsnp::kds::test {
namespace {

using platform::Product;
using std::chrono::steady_clock;

class Socket {
 public:
  explicit Socket(u16 port, const char* address = "127.0.0.1")
      : number_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    ::inet_pton(AF_INET, address, &to.sin_addr);
    connected_ = ::connect(number_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~Socket() { ::close(number_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  bool connected() const { return connected_; }
  void send(const std::string& bytes) const {
    ::send(number_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Up to the end, or what came within so many seconds.
  std::string receive(int seconds = 20) const {
    std::string all;
    char part[4096];
    pollfd descriptor{number_, POLLIN, 0};
    while (::poll(&descriptor, 1, seconds * 1000) > 0) {
      const ssize_t got = ::recv(number_, part, sizeof part, 0);
      if (got <= 0) {
        break;
      }
      all.append(part, static_cast<usize>(got));
    }
    return all;
  }

 private:
  int number_;
  bool connected_ = false;
};

class KdsServerTest : public testing::Test {
 protected:
  KdsServerTest() {
    EXPECT_TRUE(made.ok()) << made.error();
    made->start();
  }
  std::string raw(const std::string& request) {
    const Socket socket(made->port());
    socket.send(request);
    return socket.receive();
  }
  // The status in the answer's first line; 0 if there is no such.
  static int status_of(const std::string& answer) {
    return answer.rfind("HTTP/1.1 ", 0) == 0 ? std::stoi(answer.substr(9)) : 0;
  }
  void expect_alive() { EXPECT_EQ(status_of(raw("GET /vcek/v1/Genoa/crl HTTP/1.1\r\n\r\n")), 200); }

  const platform::Platform& chip = platform::test_platform(Product::genoa);
  Result<KdsServer, std::string> made = KdsServer::listen(chip, {"127.0.0.1", 0});
};

TEST_F(KdsServerTest, AnswersAnOrdinaryClient) {
  httplib::Client client("127.0.0.1", made->port());
  const std::string id = platform::chip_id_text(chip.settings);
  const auto vcek = client.Get("/vcek/v1/Genoa/" + id + "?blSPL=9&teeSPL=1&snpSPL=22&ucodeSPL=213");
  ASSERT_TRUE(vcek);
  EXPECT_EQ(vcek->status, 200);
  EXPECT_EQ(vcek->get_header_value("Content-Type"), "application/pkix-cert");
  EXPECT_EQ(platform::Der(vcek->body.begin(), vcek->body.end()), chip.certificates.vcek);
  const auto vlek = client.Get("/vlek/v1/Genoa/cert?blSPL=9&teeSPL=1&snpSPL=22&ucodeSPL=213");
  ASSERT_TRUE(vlek);
  EXPECT_EQ(platform::Der(vlek->body.begin(), vlek->body.end()), chip.certificates.vlek);
  for (const char* const path : {"/vcek/v1/Genoa/cert_chain", "/vlek/v1/Genoa/cert_chain",
                                 "/vcek/v1/Genoa/crl", "/vlek/v1/Genoa/crl"}) {
    const auto answer = client.Get(path);
    ASSERT_TRUE(answer) << path;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, platform::answer_kds(chip, path).body) << path;
  }
}

TEST_F(KdsServerTest, RefusesWithALine) {
  httplib::Client client("127.0.0.1", made->port());
  const auto product = client.Get("/vcek/v1/Milan/cert_chain");
  ASSERT_TRUE(product);
  EXPECT_EQ(product->status, 404);
  EXPECT_EQ(product->body, "no chip of product 'Milan' here, only Genoa\n");
  const auto number = client.Get("/vlek/v1/Genoa/cert?blSPL=1000");
  ASSERT_TRUE(number);
  EXPECT_EQ(number->status, 400);
  EXPECT_EQ(number->body, "blSPL: expected one number from 0 to 255\n");
}

TEST_F(KdsServerTest, OnlyGetAndHead) {
  const std::string head = raw("HEAD /vcek/v1/Genoa/crl HTTP/1.1\r\n\r\n");
  EXPECT_EQ(status_of(head), 200);
  EXPECT_NE(head.find("Content-Length: " + std::to_string(chip.certificates.crl.size())),
            std::string::npos)
      << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << "no body";
  for (const char* const method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    const std::string answer =
        raw(std::string(method) + " /vcek/v1/Genoa/crl HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_EQ(status_of(answer), 405) << method << answer;
  }
  expect_alive();
}

TEST_F(KdsServerTest, HostileHeads) {
  const std::string line = "GET /vcek/v1/Genoa/crl HTTP/1.1\r\n";
  // Fields that a careless server would act upon.
  for (const std::string& fields : std::vector<std::string>{
           "Range: bytes=99999999999999999999999999-\r\n", "Range: bytes=0-0,0-0,0-0,0-0\r\n",
           "Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n",
           "Expect: 100-continue\r\n", "Accept-Encoding: gzip, br\r\n", "no colon\r\n",
           std::string("\0\0\0\r\n", 5)}) {
    const std::string answer = raw(line + fields + "\r\n");
    EXPECT_EQ(status_of(answer), 200) << fields;
    EXPECT_TRUE(
        answer.ends_with(std::string(chip.certificates.crl.begin(), chip.certificates.crl.end())))
        << fields;
  }
  for (const std::string& wrong : std::vector<std::string>{
           "\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n",
           "GET / HTTP/9.9\r\n\r\n", std::string("\0\r\n\r\n", 5), "\xFF\xFE\x16\x03\x01\r\n\r\n",
           "GET " + std::string(9000, '/') + " HTTP/1.1\r\n\r\n",
           "GET /vcek/v1/Genoa/%00%zz%ff HTTP/1.1\r\n\r\n",
           "GET /vcek/v1/Genoa/../../../etc/passwd HTTP/1.1\r\n\r\n"}) {
    const int status = status_of(raw(wrong));
    EXPECT_TRUE(status >= 400 && status < 500) << status << " for " << wrong.substr(0, 60);
  }
  expect_alive();
}

TEST_F(KdsServerTest, EndlessHeadsEnd) {
  const std::string line = "GET /vcek/v1/Genoa/crl HTTP/1.1\r\n";
  std::string many = line;
  for (int count = 0; count < 4000; ++count) {
    many += "A: b\r\n";
  }
  EXPECT_EQ(status_of(raw(many)), 431);
  EXPECT_EQ(status_of(raw(std::string(100'000, 'x'))), 431);
  expect_alive();
}

// Each byte comes in time, but the whole never ends.
TEST_F(KdsServerTest, SlowClientsAreLeft) {
  const Socket slow(made->port());
  const auto begin = steady_clock::now();
  while (steady_clock::now() - begin < std::chrono::seconds(7)) {
    slow.send("x");
    if (slow.receive(0).empty() && [&] {
          pollfd descriptor{};
          return ::poll(&descriptor, 0, 200) == 0;
        }()) {
      continue;
    }
  }
  EXPECT_EQ(slow.receive(2), "") << "closed by the other end, without an answer";
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(9)) << "closed, not timed out here";
  expect_alive();
}

TEST_F(KdsServerTest, IdleConnectionsDoNotStopOthers) {
  std::vector<std::unique_ptr<Socket>> idle;
  for (int count = 0; count < 12; ++count) {
    idle.push_back(std::make_unique<Socket>(made->port()));
    idle.back()->send("GET /");
  }
  const auto begin = steady_clock::now();
  expect_alive();
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(3));
  // And the server ends although they wait.
  made->stop();
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(4));
  EXPECT_FALSE(Socket(made->port()).connected());
}

TEST_F(KdsServerTest, ListensWhereItWasToldAndNowhereElse) {
  EXPECT_TRUE(Socket(made->port(), "127.0.0.1").connected());
  EXPECT_FALSE(Socket(made->port(), "127.0.0.2").connected());
  const auto second = KdsServer::listen(chip, {"127.0.0.1", made->port()});
  ASSERT_FALSE(second.ok()) << "the port is taken";
  EXPECT_NE(second.error().find("127.0.0.1 port"), std::string::npos) << second.error();
  EXPECT_NE(second.error().find("in use"), std::string::npos) << second.error();
}

TEST_F(KdsServerTest, NoSuchAddressOfThisMachine) {
  const auto foreign = KdsServer::listen(chip, {"192.0.2.1", 0});  // RFC 5737
  ASSERT_FALSE(foreign.ok());
  EXPECT_NE(foreign.error().find("192.0.2.1"), std::string::npos) << foreign.error();
}

TEST(KdsEndpoint, Texts) {
  const auto four = cli::parse_endpoint("127.0.0.1:8080");
  ASSERT_TRUE(four);
  EXPECT_EQ(four->address, "127.0.0.1");
  EXPECT_EQ(four->port, 8080);
  const auto six = cli::parse_endpoint("[::1]:0");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->address, "::1");
  EXPECT_EQ(six->port, 0);
  for (const char* bad : {"", ":", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                          "127.0.0.1:-1", "127.0.0.1:80x", "localhost:80", "::1:80", "[::1]",
                          "[127.0.0.1]:80", "127.0.0.1 :80", "[::1:80", "1.2.3:80"}) {
    EXPECT_FALSE(cli::parse_endpoint(bad)) << bad;
  }
}

}  // namespace
}  // namespace softsnp::kds::test
