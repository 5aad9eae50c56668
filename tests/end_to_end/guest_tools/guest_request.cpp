// Runs inside a Linux guest: one call of /dev/sev-guest a process, told in one line.
//   guest_request LABEL report DATA VMPL KEY_SEL VERSION     SNP_GET_REPORT
//   guest_request LABEL key ROOT FIELDS VMPL SVN TCB VERSION SNP_GET_DERIVED_KEY
//   guest_request LABEL ext DATA VMPL BYTES                  SNP_GET_EXT_REPORT, BYTES for
//   certificates guest_request LABEL unknown                              an ioctl that the driver
//   does not know guest_request LABEL port NUMBER                          NUMBER to I/O port 0x99:
//   a sign to the host
// DATA is hexadecimal, padded with zeros to 64 bytes. Numbers may be hexadecimal (0x...).
#include <fcntl.h>
#include <linux/sev-guest.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr std::size_t header_bytes = 32;
constexpr std::size_t most_certificates = 0x8000;
constexpr unsigned short host_port = 0x99;

constexpr unsigned long unknown_ioctl = _IOWR('S', 9, snp_guest_request_ioctl);

std::uint8_t response[sizeof(snp_report_resp)];
alignas(4096) std::uint8_t certificates[most_certificates];
// The whole line, so that it reaches the console in one write.
char line[0x20000];
std::size_t length = 0;

[[gnu::format(printf, 1, 2)]] void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int count = std::vsnprintf(line + length, sizeof line - length, format, arguments);
  va_end(arguments);
  length += static_cast<std::size_t>(count);
}

void say_bytes(const char* name, const std::uint8_t* bytes, std::size_t count) {
  say(" %s=", name);
  for (std::size_t i = 0; i < count; ++i) {
    say("%02x", bytes[i]);
  }
}

std::uint64_t value_of(const char* text) {
  return std::strtoull(text, nullptr, 0);
}

void take_data(const char* hex, std::uint8_t (&to)[64]) {
  for (std::size_t i = 0; i < 64 && hex[2 * i] != 0 && hex[2 * i + 1] != 0; ++i) {
    const char digits[] = {hex[2 * i], hex[2 * i + 1], 0};
    to[i] = static_cast<std::uint8_t>(std::strtoul(digits, nullptr, 16));
  }
}

// True: the driver has an answer.
bool call(unsigned long number, std::uint64_t version, void* request) {
  snp_guest_request_ioctl arguments{};
  arguments.msg_version = static_cast<__u8>(version);
  arguments.req_data = reinterpret_cast<std::uint64_t>(request);
  arguments.resp_data = reinterpret_cast<std::uint64_t>(response);
  const int device = open("/dev/sev-guest", O_RDWR);
  const int result = device < 0 ? -1 : ioctl(device, number, &arguments);
  const int error = result < 0 ? errno : 0;
  say(" result=%d errno=%d exitinfo2=0x%llx", result, error,
      static_cast<unsigned long long>(arguments.exitinfo2));
  return result == 0;
}

void say_report() {
  std::uint32_t size = 0;
  std::memcpy(&size, response + 4, sizeof size);
  const std::size_t room = sizeof response - header_bytes;
  say_bytes("response", response, header_bytes + (size < room ? size : room));
}

snp_report_req report_request(char** arguments) {
  snp_report_req request{};
  take_data(arguments[0], request.user_data);
  request.vmpl = static_cast<std::uint32_t>(value_of(arguments[1]));
  return request;
}

bool do_report(char** arguments) {
  snp_report_req request = report_request(arguments);
  request.rsvd[0] = static_cast<__u8>(value_of(arguments[2]));  // KEY_SEL, unknown to the header
  if (call(SNP_GET_REPORT, value_of(arguments[3]), &request)) {
    say_report();
  }
  return true;
}

bool do_key(char** arguments) {
  snp_derived_key_req request{};
  request.root_key_select = static_cast<std::uint32_t>(value_of(arguments[0]));
  request.guest_field_select = value_of(arguments[1]);
  request.vmpl = static_cast<std::uint32_t>(value_of(arguments[2]));
  request.guest_svn = static_cast<std::uint32_t>(value_of(arguments[3]));
  request.tcb_version = value_of(arguments[4]);
  if (call(SNP_GET_DERIVED_KEY, value_of(arguments[5]), &request)) {
    say_bytes("response", response, sizeof(snp_derived_key_resp));
  }
  return true;
}

bool do_extended(char** arguments) {
  snp_ext_report_req request{};
  request.data = report_request(arguments);
  request.certs_address = reinterpret_cast<std::uint64_t>(certificates);
  request.certs_len = static_cast<std::uint32_t>(value_of(arguments[2]));
  if (request.certs_len > most_certificates) {
    return false;
  }
  const bool done = call(SNP_GET_EXT_REPORT, 1, &request);
  say(" certs_len=%u", request.certs_len);
  if (done) {
    say_report();
    say_bytes("certs", certificates, request.certs_len);
  }
  return true;
}

bool do_unknown(char**) {
  snp_report_req request{};
  call(unknown_ioctl, 1, &request);
  return true;
}

bool do_port(char** arguments) {
  if (ioperm(host_port, 1, 1) != 0) {
    say(" errno=%d", errno);
    return true;
  }
  outb(static_cast<unsigned char>(value_of(arguments[0])), host_port);
  return true;
}

struct Row {
  const char* name;
  int arguments;
  bool (*act)(char**);
};
constexpr Row rows[] = {{"report", 4, do_report},
                        {"key", 6, do_key},
                        {"ext", 3, do_extended},
                        {"unknown", 0, do_unknown},
                        {"port", 1, do_port}};

}  // namespace

int main(int count, char** arguments) {
  for (const Row& row : rows) {
    if (count != row.arguments + 3 || std::strcmp(arguments[2], row.name) != 0) {
      continue;
    }
    say("guest-request %s %s", arguments[1], row.name);
    if (!row.act(arguments + 3)) {
      break;
    }
    say("\n");
    return write(STDOUT_FILENO, line, length) == static_cast<ssize_t>(length) ? 0 : 1;
  }
  std::fprintf(stderr, "guest_request: arguments not understood\n");
  return 2;
}
