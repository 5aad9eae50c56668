#include "guest/vmpl0/guarded.hpp"

#include "arch/svm/exit_code.hpp"
#include "arch/x86/registers.hpp"

// Each: one instruction that may fault, at *_fault; RAX = 0 before, the answer after. A fault goes
// on at svsm_guarded_end with RAX = 1 (a fault) or 2 (#VC: not validated).
asm(R"(
.text
svsm_copy:
  mov %rdx, %rcx
  xor %eax, %eax
svsm_copy_fault:
  rep movsb
  ret
svsm_zero:
  mov %rsi, %rcx
  xor %eax, %eax
svsm_zero_fault:
  rep stosb
  ret

# (at, large, validate, answer): EAX to answer[0], CF to answer[1]
svsm_pvalidate:
  mov %rcx, %r8
  mov %rdi, %rax
  mov %rsi, %rcx
svsm_pvalidate_fault:
  .byte 0xF2, 0x0F, 0x01, 0xFF
  setc 4(%r8)
  mov %eax, (%r8)
  xor %eax, %eax
  ret

# (at, large, operand, answer)
svsm_rmpadjust:
  mov %rcx, %r8
  mov %rdi, %rax
  mov %rsi, %rcx
svsm_rmpadjust_fault:
  .byte 0xF3, 0x0F, 0x01, 0xFE
  mov %eax, (%r8)
  xor %eax, %eax
svsm_guarded_end:
  ret
)");

struct RmpWords {
  softsnp::u32 eax;
  softsnp::u8 carry;
};

extern "C" {
softsnp::u64 svsm_copy(void* to, const void* from, softsnp::usize bytes);
softsnp::u64 svsm_zero(void* at, softsnp::usize bytes);
softsnp::u64 svsm_pvalidate(softsnp::u64 at, softsnp::u64 large, softsnp::u64 validate,
                            RmpWords* words);
softsnp::u64 svsm_rmpadjust(softsnp::u64 at, softsnp::u64 large, softsnp::u64 operand,
                            RmpWords* words);
extern const char svsm_copy_fault[], svsm_zero_fault[], svsm_pvalidate_fault[],
    svsm_rmpadjust_fault[], svsm_guarded_end[];
}

namespace softsnp::svsm {
namespace {

constexpr u64 any_fault = 1, not_validated = 2;

u64 address(const char* label) {
  return reinterpret_cast<u64>(label);
}

RmpAnswer answer(u64 fault, const RmpWords& words) {
  if (fault == not_validated) {
    return {RmpAnswer::Outcome::not_validated, 0, false};
  }
  if (fault != 0) {
    return {RmpAnswer::Outcome::faulted, 0, false};
  }
  return {RmpAnswer::Outcome::done, words.eax, words.carry != 0};
}

u64 large(PageSize size) {
  return size == PageSize::size_2m ? 1 : 0;
}

}  // namespace

bool guarded_copy(void* to, const void* from, usize bytes) {
  return svsm_copy(to, from, bytes) == 0;
}

bool guarded_zero(void* at, usize bytes) {
  return svsm_zero(at, bytes) == 0;
}

RmpAnswer guarded_pvalidate(u64 at, PageSize size, bool validate) {
  RmpWords words{};
  const u64 fault = svsm_pvalidate(at, large(size), validate ? 1 : 0, &words);
  return answer(fault, words);
}

// RDX: hardware sheet 4.1.
RmpAnswer guarded_rmpadjust(u64 at, PageSize size, const Adjustment& adjustment) {
  RmpWords words{};
  const u64 operand = u64{number(adjustment.target)} | u64{adjustment.permissions} << 8 |
                      u64{adjustment.vmsa} << 16;
  const u64 fault = svsm_rmpadjust(at, large(size), operand, &words);
  return answer(fault, words);
}

bool end_guarded(guest::Frame& frame) {
  const u64 rip = frame.rip;
  if (rip != address(svsm_copy_fault) && rip != address(svsm_zero_fault) &&
      rip != address(svsm_pvalidate_fault) && rip != address(svsm_rmpadjust_fault)) {
    return false;
  }
  const bool validation = frame.vector == static_cast<u64>(x86::Vector::vc) &&
                          frame.error == static_cast<u64>(svm::ExitCode::page_not_validated);
  frame.rax = validation ? not_validated : any_fault;
  frame.rip = address(svsm_guarded_end);
  return true;
}

}  // namespace softsnp::svsm
