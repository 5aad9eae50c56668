// The built-in sample: shows an SNP guest's life, or, with case=NAME on the command line, does one
// thing that must be refused.
#include "guest/samples/guest_main.hpp"

#include "arch/boot/platform.hpp"
#include "arch/snp/features.hpp"
#include "base/bytes.hpp"
#include "guest/runtime/console.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/samples/guest_cases.hpp"
#include "guest/samples/guest_state.hpp"

namespace softsnp::guest {
namespace {

const char* command_line(const u8* boot_params) {
  const u64 low = load_le<u32>(boot_params + 0x228);   // cmd_line_ptr
  const u64 high = load_le<u32>(boot_params + 0x0C8);  // ext_cmd_line_ptr
  return reinterpret_cast<const char*>(high << 32 | low);
}

bool word_is(const char* at, const char* word) {
  while (*word != 0) {
    if (*at++ != *word++) {
      return false;
    }
  }
  return *at == 0 || *at == ' ';
}

const char* chosen_case(const char* line) {
  if (line == nullptr) {
    return "";
  }
  for (; *line != 0; ++line) {
    if (line[0] == 'c' && line[1] == 'a' && line[2] == 's' && line[3] == 'e' && line[4] == '=') {
      return line + 5;
    }
  }
  return "";
}

}  // namespace

void power_off() {
  using namespace boot::platform;
  out8(sleep_control_port, sleep_type_s5 << sleep_type_shift | sleep_enable);
  halt_forever();
}

void guest_main(const u8* boot_params) {
  const u64 status = rdmsr(x86::msr::sev_status);
  if ((status & snp::sev_status::sev_es) != 0) {
    // No output is possible before this works: the reason is in the termination code.
    start_ghcb((status & snp::sev_status::sev_snp) != 0);
  }
  print("softsnp sample guest: SEV_STATUS ", Hex{status}, "\n");
  const char* name = chosen_case(command_line(boot_params));
  for (const Case& one : cases()) {
    if (*name != 0 && word_is(name, one.name)) {
      print("case ", one.name, "\n");
      one.run();
      power_off();
    }
  }
  if (*name != 0) {
    print("no such case\n");
    out8(boot::platform::debug_exit_port, 1);
  }
  demonstrate((status & snp::sev_status::sev_snp) != 0);
  power_off();
}

}  // namespace softsnp::guest
