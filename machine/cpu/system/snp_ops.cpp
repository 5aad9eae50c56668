// PVALIDATE, RMPADJUST, RMPQUERY, and the host's RMP instructions met in a guest.
// Hardware sheet 4 (APM3; APM2 15.36.3-15.36.7).
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {
namespace {

using memory::Rule;
using snp::RmpResult;
using x86::Gpr;

// Hardware sheet 4.2: flags follow EAX; CF where the instruction defines it, else clear.
void set_result(System& system, RmpResult result, bool carry) {
  const u32 eax = static_cast<u32>(result);
  reg(system, Gpr::rax) = eax;
  const bool parity = __builtin_parity(eax & 0xFF) == 0;
  system.state().flags.unpack((carry ? x86::rflags::cf : 0) | (parity ? x86::rflags::pf : 0) |
                              (eax == 0 ? x86::rflags::zf : 0) |
                              ((eax >> 31) != 0 ? x86::rflags::sf : 0));
}

Step complete(System& system, RmpResult result, bool carry = false) {
  set_result(system, result, carry);
  return Step::next;
}

struct Operand {
  u64 linear = 0;
  PageSize size = PageSize::size_4k;
  Translation translation;
  memory::GuestPage page;

  bool aligned() const { return is_aligned(linear, bytes(size)) || size == PageSize::size_4k; }
};

// Hardware sheet 4.3. require_64: all but PVALIDATE.
bool begin(System& system, bool require_64, Step& out) {
  const CoreState& s = system.state();
  if (!system.controls().snp || (require_64 && !s.code64())) {
    out = system.raise_ud();
    return false;
  }
  if (s.cpl != 0) {
    system.set_refusal({"RMP instruction needs CPL 0", s.cpl, 0});
    out = system.raise_gp();
    return false;
  }
  return true;
}

Operand read_operand(System& system, const Instruction& in) {
  const CoreState& s = system.state();
  const u64 rax = reg(system, Gpr::rax);
  Operand operand;
  const u64 offset = in.op.address_bits == 16   ? rax & 0xFFFF
                     : in.op.address_bits == 32 ? static_cast<u32>(rax)
                                                : rax;
  constexpr auto ds = static_cast<unsigned>(x86::Segment::ds);
  operand.linear = s.code64() ? offset : legacy_linear(system.core(), ds, offset, 1, Access::read);
  operand.size = has_bit(reg(system, Gpr::rcx), 0) ? PageSize::size_2m : PageSize::size_4k;
  return operand;
}

// As a one-byte read; nested walk; no RMP check of the page itself.
bool translate(System& system, Operand& operand) {
  Translation& t = operand.translation;
  if (operand.linear == refused_linear) {
    return false;  // legacy_linear() has set core.fault
  }
  if (!system.mmu().walk(system.core(), operand.linear, Access::read, t)) {
    return false;
  }
  const GuestContext& guest = system.mmu().guest();
  operand.page = {{memory::AskerKind::snp_guest, guest.asid, guest.vmpl},
                  t.spa.page(),
                  t.gpa.page(),
                  t.mapping_size};
  return true;
}

// What a denied access check becomes (hardware sheet 4.6, 4.7, 5.4).
Step denied(System& system, const Operand& operand, const memory::GuestRmpOutcome& outcome) {
  Fault& fault = system.core().fault;
  fault = {};
  fault.linear = operand.linear;
  if (outcome.denied == Rule::validated) {
    fault.kind = FaultKind::not_validated;
    fault.address = operand.linear;
    return Step::fault;
  }
  fault.kind = FaultKind::nested;
  fault.address = operand.translation.gpa.value();
  fault.error_code = x86::pf_error::present | x86::pf_error::user | snp::npf::rmp |
                     snp::npf::final_gpa | (operand.translation.encrypted ? snp::npf::enc : 0) |
                     (outcome.sizem ? snp::npf::sizem : 0) |
                     (outcome.denied == Rule::vmpl ? snp::npf::vmpl : 0);
  return Step::fault;
}

void report(System& system, RmpInstruction instruction, const Operand& operand,
            const memory::GuestRmpOutcome& outcome) {
  if (outcome.denied != Rule::none) {
    system.set_refusal({memory::name(outcome.denied), operand.translation.spa.value(),
                        operand.translation.gpa.value()});
  }
  if (system.observer() == nullptr) {
    return;
  }
  RmpInstructionEvent event;
  event.instruction = instruction;
  event.rip = system.state().rip;
  event.address = GuestVirtual(operand.linear);
  event.gpa = operand.translation.gpa;
  event.spa = operand.translation.spa;
  event.size = operand.size;
  event.operand = reg(system, Gpr::rdx);
  event.denied = outcome.denied;
  event.result = outcome.result;
  event.carry = outcome.carry;
  system.observer()->rmp_instruction(event);
}

// Same, for results that are known before the RMP is asked.
Step early(System& system, RmpInstruction instruction, const Operand& operand, RmpResult result) {
  memory::GuestRmpOutcome outcome;
  outcome.result = result;
  report(system, instruction, operand, outcome);
  return complete(system, result);
}

}  // namespace

namespace handlers {

Step pvalidate(System& system, const Instruction& in) {
  Step out{};
  if (!begin(system, false, out)) {
    return out;
  }
  if (system.mmu().guest().vmpl != Vmpl::vmpl0) {
    system.set_refusal({"PVALIDATE needs VMPL0", number(system.mmu().guest().vmpl), 0});
    return system.raise_gp();
  }
  Operand operand = read_operand(system, in);
  if (!operand.aligned()) {
    return early(system, RmpInstruction::pvalidate, operand, RmpResult::fail_input);
  }
  if (!translate(system, operand)) {
    return Step::fault;
  }
  const bool validate = has_bit(reg(system, Gpr::rdx), 0);
  const memory::GuestRmpOutcome outcome = system.mmu().rmp().pvalidate(
      operand.page, operand.size, operand.aligned(), validate, system.state().rip);
  report(system, RmpInstruction::pvalidate, operand, outcome);
  return outcome.denied != Rule::none ? denied(system, operand, outcome)
                                      : complete(system, outcome.result, outcome.carry);
}

Step rmpadjust(System& system, const Instruction& in) {
  Step out{};
  if (!begin(system, true, out)) {
    return out;
  }
  Operand operand = read_operand(system, in);
  const u64 rdx = reg(system, Gpr::rdx);
  const u64 target = get_bits(rdx, 7, 0);
  if (!operand.aligned() || target >= vmpl_count) {
    return early(system, RmpInstruction::rmpadjust, operand, RmpResult::fail_input);
  }
  if (target <= number(system.mmu().guest().vmpl)) {
    return early(system, RmpInstruction::rmpadjust, operand, RmpResult::fail_permission);
  }
  if (!translate(system, operand)) {
    return Step::fault;
  }
  const memory::GuestRmpOutcome outcome =
      system.mmu().rmp().rmpadjust(operand.page, operand.size, operand.aligned(), target,
                                   static_cast<u8>(rdx >> 8), has_bit(rdx, 16), system.state().rip);
  report(system, RmpInstruction::rmpadjust, operand, outcome);
  return outcome.denied != Rule::none ? denied(system, operand, outcome)
                                      : complete(system, outcome.result);
}

Step rmpquery(System& system, const Instruction& in) {
  Step out{};
  if (!begin(system, true, out)) {
    return out;
  }
  Operand operand = read_operand(system, in);
  operand.size = PageSize::size_4k;
  if (!translate(system, operand)) {
    return Step::fault;
  }
  memory::RmpQueryOutput result;
  u64& rdx = reg(system, Gpr::rdx);
  const memory::GuestRmpOutcome outcome =
      system.mmu().rmp().rmpquery(operand.page, get_bits(rdx, 7, 0), result);
  report(system, RmpInstruction::rmpquery, operand, outcome);
  if (outcome.denied != Rule::none) {
    return denied(system, operand, outcome);
  }
  if (outcome.result == RmpResult::success) {
    reg(system, Gpr::rcx) = static_cast<u64>(result.size);
    rdx = with_bits(with_bits(rdx, 15, 8, result.mask), 16, 16, result.vmsa ? 1 : 0);
  }
  return complete(system, outcome.result);
}

// Hardware sheet 4.3: in a guest FAIL_PERMISSION, no fault. The host's own go through the host
// port.
Step host_rmp(System& system, const Instruction&) {
  const CoreState& s = system.state();
  if (!system.mmu().rmp().enabled() || !s.code64()) {
    return system.raise_ud();
  }
  return s.cpl != 0 ? system.raise_gp() : complete(system, RmpResult::fail_permission);
}

}  // namespace handlers
}  // namespace softsnp::cpu
