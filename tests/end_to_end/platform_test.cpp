// softsnp platform, softsnp kds and softsnp run --platform as a user runs them.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <utility>

#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

using Arguments = std::vector<std::string>;
const std::string chip_id = "c0ffee" + std::string(122, '7');
const std::string low_tcb = "bl=9,tee=0,snp=20,ucode=80";

// One platform for all tests: its keys take seconds.
class PlatformRun : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string name = (std::filesystem::temp_directory_path() / "softsnp-XXXXXX").string();
    folder = ::mkdtemp(name.data());
    chip = folder + "/chip";
    const ProgramResult made = run_program(
        {"platform", "init", chip, "--product", "Genoa", "--chip-id", chip_id, "--tcb",
         "bl=10,tee=0,snp=23,ucode=84", "--committed-tcb", "bl=10,tee=0,snp=22,ucode=84",
         "--csp-id", "Cloud", "--valid-from", "2026-01-01"});
    ASSERT_EQ(made.status, 0) << made.err;
    EXPECT_NE(made.err.find("Genoa-B1 with chip id " + chip_id), std::string::npos) << made.err;
    EXPECT_NE(made.err.find("reporting bl=10,tee=0,snp=22,ucode=84"), std::string::npos);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder); }

  // The AMD-SP's commands of a run with their statuses, one a line.
  static std::vector<std::string> commands(const Arguments& options) {
    const std::string trace = folder + "/trace";
    Arguments arguments = {"run", "--platform", chip, "--trace", trace, "--timeout", "60"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const ProgramResult result = run_program(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<std::string> all;
    std::istringstream lines(contents_of(trace));
    const auto field = [](const std::string& line, const std::string& key) {
      const usize at = line.find("\"" + key + "\":\"");
      const usize from = at + key.size() + 4;
      return at == line.npos ? std::string() : line.substr(from, line.find('"', from) - from);
    };
    for (std::string line; std::getline(lines, line);) {
      if (line.find("\"event\":\"psp\"") != line.npos) {
        all.push_back(field(line, "command") + " " + field(line, "status"));
      }
    }
    return all;
  }
  static void expect_refused(const Arguments& arguments, const std::string& named) {
    const ProgramResult result = run_program(arguments);
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_NE(result.err.find(named), std::string::npos) << named << " in: " << result.err;
    EXPECT_EQ(result.out, "");
  }

  static inline std::string folder, chip;
};

using Commands = std::vector<std::string>;

TEST_F(PlatformRun, HostTellsTheFirmwareInLinuxsOrder) {
  Commands seen = commands({});
  const auto told = [](const std::string& line) {
    return line.starts_with("SNP_CO") || line.starts_with("SNP_VLEK");
  };
  EXPECT_EQ(std::count_if(seen.begin(), seen.end(), told), 0) << "nothing was asked for";
  seen = commands({"--commit", "--mask-chip-id", "--reported-tcb", low_tcb, "--vlek"});
  const auto create = std::find(seen.begin(), seen.end(), "SNP_GCTX_CREATE SUCCESS");
  ASSERT_NE(create, seen.end());
  const Commands before(std::find_if(seen.begin(), create, told), create);
  EXPECT_EQ(before,
            (Commands{"SNP_COMMIT SUCCESS", "SNP_CONFIG SUCCESS", "SNP_VLEK_LOAD SUCCESS"}));
  EXPECT_EQ(seen.front(), "SNP_INIT_EX SUCCESS");
}

// The wrapping fits this chip at every TCB.
TEST_F(PlatformRun, VlekLoadsAtTheReportedTcb) {
  for (const Arguments& options :
       {Arguments{"--vlek"}, Arguments{"--vlek", "--reported-tcb", low_tcb}}) {
    const Commands seen = commands(options);
    EXPECT_NE(std::find(seen.begin(), seen.end(), "SNP_VLEK_LOAD SUCCESS"), seen.end());
  }
}

TEST_F(PlatformRun, RunsRepeat) {
  const Arguments options = {"--vlek", "--reported-tcb", low_tcb, "--report-version", "5"};
  static_cast<void>(commands(options));
  const std::string first = contents_of(folder + "/trace");
  static_cast<void>(commands(options));
  EXPECT_EQ(first, contents_of(folder + "/trace"));
}

TEST_F(PlatformRun, IdBlock) {
  const std::string key = folder + "/id.key", block = folder + "/id.block",
                    auth = folder + "/id.auth";
  ASSERT_EQ(std::system(("openssl ecparam -name secp384r1 -genkey -noout -out " + key).c_str()), 0);
  for (const bool author : {false, true}) {
    Arguments measure = {"measure", "--id-key", key, "--id-block", block, "--id-auth", auth};
    if (author) {
      measure.insert(measure.end(), {"--author-key", key});
    }
    ASSERT_EQ(run_program(measure).status, 0);
    const Arguments id = {"--id-block", block, "--id-auth", auth};
    const Commands seen = commands(id);
    EXPECT_NE(std::find(seen.begin(), seen.end(), "SNP_LAUNCH_FINISH SUCCESS"), seen.end());
  }
  // Another guest, another policy, another signature.
  expect_refused({"run", "--id-block", block, "--id-auth", auth, "--append", "x"}, "status 0xb");
  expect_refused({"run", "--id-block", block, "--id-auth", auth, "--policy", "b0000"},
                 "status 0x7");
  std::string bytes = contents_of(auth);
  bytes[0x40] = static_cast<char>(bytes[0x40] ^ 1);
  const TemporaryFile altered(bytes);
  expect_refused({"run", "--id-block", block, "--id-auth", altered.path()}, "status 0xa");
  expect_refused({"run", "--id-block", auth, "--id-auth", auth}, "expected the 96 bytes");
  expect_refused({"run", "--id-block", block, "--id-auth", block}, "expected the 4096 bytes");
  expect_refused({"run", "--id-block", "/no/such", "--id-auth", auth}, "/no/such");
}

TEST_F(PlatformRun, MistakesAreOneLine) {
  expect_refused({"run", "--platform", "/no/such"}, "/no/such: No such file");
  expect_refused({"run", "--platform", chip, "--product", "turin"}, "is a Genoa");
  expect_refused({"run", "--platform", chip, "--reported-tcb", "bl=1"}, "--reported-tcb: expected");
  expect_refused({"run", "--platform", chip, "--reported-tcb", "bl=10,tee=0,snp=23,ucode=84"},
                 "INVALID_PARAM");
  expect_refused({"platform", "init", chip}, "exists and is not empty");
  expect_refused({"platform", "init", folder + "/x", "--chip-id", "12"}, "--chip-id: expected 128");
  expect_refused({"platform", "init", folder + "/x", "--tcb", "bl=1"}, "--tcb: expected");
  expect_refused(
      {"platform", "init", folder + "/x", "--reported-tcb", "bl=255,tee=0,snp=0,ucode=0"},
      "reported_tcb: a component is above");
  expect_refused({"platform", "certs", folder, "--out", folder + "/o"},
                 "platform.json: No such file");
  expect_refused({"platform", "certs", chip, "--out", chip + "/ark.pem"}, "is no directory");
  expect_refused({"kds", chip, "--listen", "192.0.2.1:80"}, "192.0.2.1");
  EXPECT_FALSE(std::filesystem::exists(folder + "/x"));
}

// What a process prints on standard output until its first line's end.
class Background {
 public:
  explicit Background(const Arguments& arguments) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], 1);
      ::close(ends[0]);
      ::close(ends[1]);
      std::vector<std::string> copies = arguments;
      copies.insert(copies.begin(), SOFTSNP_PROGRAM);
      std::vector<char*> argv;
      argv.reserve(copies.size() + 1);
      for (std::string& copy : copies) {
        argv.push_back(copy.data());
      }
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    char letter = 0;
    while (::read(ends[0], &letter, 1) == 1 && letter != '\n') {
      line_ += letter;
    }
    ::close(ends[0]);
  }
  ~Background() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  const std::string& line() const { return line_; }
  // The exit status; 128 + n after signal n.
  int end_with(int signal) {
    int status = 0;
    ::kill(child_, signal);
    ::waitpid(std::exchange(child_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t child_ = -1;
  std::string line_;
};

std::string get(u16 port, const std::string& target) {
  const int number = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  ::inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  std::string answer;
  if (::connect(number, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) {
    const std::string request = "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
    ::send(number, request.data(), request.size(), MSG_NOSIGNAL);
    char part[4096];
    for (ssize_t got; (got = ::recv(number, part, sizeof part, 0)) > 0;) {
      answer.append(part, static_cast<usize>(got));
    }
  }
  ::close(number);
  const usize body = answer.find("\r\n\r\n");
  return body == answer.npos ? "no answer" : answer.substr(body + 4);
}

TEST_F(PlatformRun, KdsServesWhatCertsWrites) {
  const std::string out = folder + "/certs";
  ASSERT_EQ(run_program({"platform", "certs", chip, "--out", out}).status, 0);
  for (const int signal : {SIGINT, SIGTERM}) {
    Background kds({"kds", chip, "--listen", "127.0.0.1:0"});
    const std::string before = "http://127.0.0.1:";
    ASSERT_EQ(kds.line().rfind(before, 0), 0u) << kds.line();
    const auto port = static_cast<u16>(std::stoi(kds.line().substr(before.size())));
    EXPECT_EQ(get(port, "/vcek/v1/Genoa/" + chip_id + "?blSPL=10&teeSPL=00&snpSPL=22&ucodeSPL=84"),
              contents_of(out + "/vcek.der"));
    EXPECT_EQ(get(port, "/vcek/v1/Genoa/cert_chain"),
              contents_of(out + "/kds/vcek/v1/Genoa/cert_chain"));
    EXPECT_EQ(get(port, "/vcek/v1/Genoa/crl"), contents_of(out + "/crl.der"));
    expect_refused({"kds", chip, "--listen", "127.0.0.1:" + std::to_string(port)}, "in use");
    EXPECT_EQ(kds.end_with(signal), 0);
  }
}

}  // namespace
}  // namespace softsnp::end_to_end
