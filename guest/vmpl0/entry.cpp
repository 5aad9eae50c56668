// Where the loader enters, and where the SVSM's own further processors do. 64-bit mode, interrupts
// off. RDI: the launch pages, mapped one to one, or the processor's number.
#include "guest/vmpl0/processors.hpp"

asm(R"(
.section .text.entry, "ax"
.globl svsm_entry
svsm_entry:
  lea svsm_processors + 16384(%rip), %rsp
  xor %ebp, %ebp
  call svsm_start
  ud2
.globl svsm_processor_entry
svsm_processor_entry:
  xor %ebp, %ebp
  call svsm_processor_start
  ud2
.text
)");

static_assert(softsnp::svsm::stack_bytes == 16384);

softsnp::svsm::ProcessorPages svsm_processors;

namespace softsnp::svsm {

usize this_processor() {
  const u8 local = 0;
  return (reinterpret_cast<u64>(&local) - reinterpret_cast<u64>(svsm_processors.stacks)) /
         stack_bytes;
}

u64 stack_top(usize processor) {
  return reinterpret_cast<u64>(svsm_processors.stacks[processor]) + stack_bytes;
}

}  // namespace softsnp::svsm
