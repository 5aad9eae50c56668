#include "guest/boot/sev_es_boot.hpp"

#include "arch/ghcb/events.hpp"
#include "arch/ghcb/ghcb.hpp"
#include "arch/ghcb/msr_protocol.hpp"
#include "arch/x86/msr.hpp"

extern "C" {
extern const unsigned char softsnp_sev_es_boot_begin[];
extern const unsigned char softsnp_sev_es_boot_ap[];
extern const unsigned char softsnp_sev_es_boot_end[];
}

namespace softsnp::guest {
namespace {

namespace field = ghcb::field;

constexpr unsigned valid_byte(unsigned offset) {
  return field::valid_bitmap + offset / 8 / 8;
}
constexpr unsigned valid_bit(unsigned offset) {
  return 1u << (offset / 8 % 8);
}
static_assert(valid_byte(field::sw_exitcode) == valid_byte(field::sw_exitinfo1) &&
              valid_byte(field::sw_exitcode) == valid_byte(field::sw_exitinfo2));

// Never called: it gives the assembler the numbers of arch/. All that is between the labels is
// position-independent and lives on as bytes.
[[gnu::used, gnu::naked]] void sev_es_boot() {
  asm volatile(
      "softsnp_sev_es_boot_begin:\n"
      "  mov (%%r8), %%r15\n"
      "  mov %%r10, (%%r8)\n"
      "  lea (%%r9, %%rbx), %%r14\n"  // the GHCB in the clear
      "  mov %%rdi, %%r13\n"
      "  mov %%r14, %%rdi\n"
      "  mov %[quads], %%ecx\n"
      "  xor %%eax, %%eax\n"
      "  cld\n"
      "  rep stosq\n"
      "  movw %[version], %c[at_version](%%r14)\n"
      "  movb %[valid], %c[at_valid](%%r14)\n"
      "  movl %[event], %c[at_code](%%r14)\n"
      "  mov %%rbp, %c[at_info2](%%r14)\n"  // EXITINFO1 0: set
      "  mov %[msr], %%ecx\n"
      "  rdmsr\n"
      "  mov %%eax, %%r11d\n"
      "  mov %%edx, %%r12d\n"
      "  mov %%ebx, %%eax\n"
      "  xor %%edx, %%edx\n"
      "  wrmsr\n"
      "  rep; vmmcall\n"  // VMGEXIT
      "  cmpl $0, %c[at_info1](%%r14)\n"
      "  jne 1f\n"
      "  mov %%r11d, %%eax\n"
      "  mov %%r12d, %%edx\n"
      "  wrmsr\n"
      "  mov %%r15, (%%r8)\n"
      "  invlpg (%%r9)\n"
      "  jmp *%%r13\n"
      "1:\n"  // the hypervisor knows no jump table: general termination request
      "  mov %[terminate], %%eax\n"
      "  xor %%edx, %%edx\n"
      "  wrmsr\n"
      "  rep; vmmcall\n"
      "  ud2\n"
      ".code16\n"
      "softsnp_sev_es_boot_ap:\n"
      "  ljmpw *%c[jump_table]\n"
      ".code64\n"
      "softsnp_sev_es_boot_end:\n" ::[quads] "i"(page_size / 8),
      [version] "i"(ghcb::protocol_version_min), [at_version] "i"(field::protocol_version),
      [valid] "i"(valid_bit(field::sw_exitcode) | valid_bit(field::sw_exitinfo1) |
                  valid_bit(field::sw_exitinfo2)),
      [at_valid] "i"(valid_byte(field::sw_exitcode)),
      [event] "i"(static_cast<i32>(ghcb::Event::ap_jump_table)), [at_code] "i"(field::sw_exitcode),
      [at_info1] "i"(field::sw_exitinfo1), [at_info2] "i"(field::sw_exitinfo2),
      [msr] "i"(x86::msr::ghcb), [terminate] "i"(static_cast<u32>(ghcb::MsrCode::termination)),
      [jump_table] "i"(ap_jump_table.value()));
}

}  // namespace

std::span<const u8> sev_es_boot_code() {
  return {softsnp_sev_es_boot_begin, softsnp_sev_es_boot_end};
}

u64 sev_es_ap_entry() {
  return static_cast<u64>(softsnp_sev_es_boot_ap - softsnp_sev_es_boot_begin);
}

}  // namespace softsnp::guest
