#include "observe/validation.hpp"

#include "arch/psp/command.hpp"

namespace softsnp::observe {

template <class What>
void Validation::each_page(GuestPhysical gpa, PageSize size, What what) {
  Block& block = block_of(gpa);
  const usize first = gpa.value() % large_page_size / page_size;
  for (usize i = 0; i < bytes(size) / page_size; ++i) {
    what(block, first + i);
  }
}

void Validation::rmp_changed(const memory::RmpChange& change) {
  const bool by_launch =
      change.cause.agent == memory::RmpAgent::firmware &&
      change.cause.firmware_command == psp::number(psp::Command::snp_launch_update);
  if (!by_launch || !change.after.validated() || change.after.vmsa()) {
    return;
  }
  each_page(change.after.gpa(), change.after.size(), [&](Block& block, usize index) {
    launched_pages_ += block.ever[index] ? 0 : 1;
    block.ever.set(index);
    block.valid.set(index);
  });
}

void Validation::rmp_instruction(const cpu::RmpInstructionEvent& event) {
  if (event.instruction != cpu::RmpInstruction::pvalidate || event.denied != memory::Rule::none ||
      event.result != snp::RmpResult::success) {
    return;
  }
  const bool validate = (event.operand & 1) != 0;
  BySize& count = validate ? made_valid_ : rescinded_;
  ++(event.size == PageSize::size_2m ? count.large : count.small);
  bool again = false;
  const GuestPhysical first(align_down(event.gpa.value(), bytes(event.size)));
  each_page(first, event.size, [&](Block& block, usize index) {
    again = again || (validate && block.valid[index]);
    accepted_pages_ += validate && !block.ever[index] ? 1 : 0;
    block.ever[index] = block.ever[index] || validate;
    block.valid[index] = validate;
  });
  validated_twice_ += again ? 1 : 0;
}

}  // namespace softsnp::observe
