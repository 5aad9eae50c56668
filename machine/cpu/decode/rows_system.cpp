// Instructions of machine/cpu/system (system_op.hpp), and those of them with a fast form in exec.
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/engine.hpp"
#include "machine/cpu/exec/privileged.hpp"

namespace softsnp::cpu {
namespace {

constexpr Row system_row(ZydisMnemonic m, SystemOp system, Form f = forms::any) {
  return {m, f, 0, 0, &op_system, nullptr, nullptr, nullptr, true, system};
}
// With a fast handler that resorts to op_system; control comes back behind it.
constexpr Row fast_row(ZydisMnemonic m, Form f, u16 bits, Handler handler, SystemOp system) {
  return {m, f, bits, 0, handler, nullptr, nullptr, nullptr, false, system};
}

constexpr std::array<Row, 15> moves = {
    system_row(ZYDIS_MNEMONIC_MOV, SystemOp::mov_from_cr, form(Operand::reg, Operand::control)),
    system_row(ZYDIS_MNEMONIC_MOV, SystemOp::mov_to_cr, form(Operand::control, Operand::reg)),
    system_row(ZYDIS_MNEMONIC_MOV, SystemOp::mov_from_dr, form(Operand::reg, Operand::debug)),
    system_row(ZYDIS_MNEMONIC_MOV, SystemOp::mov_to_dr, form(Operand::debug, Operand::reg)),
    system_row(ZYDIS_MNEMONIC_MOV, SystemOp::mov_to_seg, forms::s_r),
    system_row(ZYDIS_MNEMONIC_MOV, SystemOp::mov_to_seg, forms::s_m),
    system_row(ZYDIS_MNEMONIC_POP, SystemOp::pop_seg, forms::s),
    system_row(ZYDIS_MNEMONIC_LDS, SystemOp::load_far_pointer),
    system_row(ZYDIS_MNEMONIC_LES, SystemOp::load_far_pointer),
    system_row(ZYDIS_MNEMONIC_LFS, SystemOp::load_far_pointer),
    system_row(ZYDIS_MNEMONIC_LGS, SystemOp::load_far_pointer),
    system_row(ZYDIS_MNEMONIC_LSS, SystemOp::load_far_pointer),
    system_row(ZYDIS_MNEMONIC_LMSW, SystemOp::lmsw),
    system_row(ZYDIS_MNEMONIC_SMSW, SystemOp::smsw),
    system_row(ZYDIS_MNEMONIC_CLTS, SystemOp::clts)};

constexpr std::array<Row, 22> tables = {system_row(ZYDIS_MNEMONIC_LGDT, SystemOp::lgdt),
                                        system_row(ZYDIS_MNEMONIC_LIDT, SystemOp::lidt),
                                        system_row(ZYDIS_MNEMONIC_SGDT, SystemOp::sgdt),
                                        system_row(ZYDIS_MNEMONIC_SIDT, SystemOp::sidt),
                                        system_row(ZYDIS_MNEMONIC_LLDT, SystemOp::lldt),
                                        system_row(ZYDIS_MNEMONIC_LTR, SystemOp::ltr),
                                        system_row(ZYDIS_MNEMONIC_SLDT, SystemOp::sldt),
                                        system_row(ZYDIS_MNEMONIC_STR, SystemOp::str),
                                        system_row(ZYDIS_MNEMONIC_LAR, SystemOp::lar),
                                        system_row(ZYDIS_MNEMONIC_LSL, SystemOp::lsl),
                                        system_row(ZYDIS_MNEMONIC_VERR, SystemOp::verr),
                                        system_row(ZYDIS_MNEMONIC_VERW, SystemOp::verw),
                                        system_row(ZYDIS_MNEMONIC_ARPL, SystemOp::arpl),
                                        system_row(ZYDIS_MNEMONIC_INVLPG, SystemOp::invlpg),
                                        system_row(ZYDIS_MNEMONIC_INVLPGA, SystemOp::invlpga),
                                        system_row(ZYDIS_MNEMONIC_INVLPGB, SystemOp::invlpgb),
                                        system_row(ZYDIS_MNEMONIC_TLBSYNC, SystemOp::tlbsync),
                                        system_row(ZYDIS_MNEMONIC_INVPCID, SystemOp::invpcid),
                                        system_row(ZYDIS_MNEMONIC_INVD, SystemOp::invd),
                                        system_row(ZYDIS_MNEMONIC_WBINVD, SystemOp::wbinvd),
                                        system_row(ZYDIS_MNEMONIC_CLAC, SystemOp::clac),
                                        system_row(ZYDIS_MNEMONIC_STAC, SystemOp::stac)};

constexpr std::array<Row, 21> processor = {
    system_row(ZYDIS_MNEMONIC_HLT, SystemOp::hlt),
    system_row(ZYDIS_MNEMONIC_MONITOR, SystemOp::monitor),
    system_row(ZYDIS_MNEMONIC_MONITORX, SystemOp::monitorx),
    system_row(ZYDIS_MNEMONIC_MWAIT, SystemOp::mwait),
    system_row(ZYDIS_MNEMONIC_MWAITX, SystemOp::mwaitx),
    system_row(ZYDIS_MNEMONIC_RDMSR, SystemOp::rdmsr),
    system_row(ZYDIS_MNEMONIC_WRMSR, SystemOp::wrmsr),
    system_row(ZYDIS_MNEMONIC_RDTSC, SystemOp::rdtsc),
    system_row(ZYDIS_MNEMONIC_RDTSCP, SystemOp::rdtscp),
    system_row(ZYDIS_MNEMONIC_RDPMC, SystemOp::rdpmc),
    system_row(ZYDIS_MNEMONIC_RDPRU, SystemOp::rdpru),
    system_row(ZYDIS_MNEMONIC_RDPID, SystemOp::rdpid),
    system_row(ZYDIS_MNEMONIC_CPUID, SystemOp::cpuid),
    system_row(ZYDIS_MNEMONIC_XGETBV, SystemOp::xgetbv),
    system_row(ZYDIS_MNEMONIC_XSETBV, SystemOp::xsetbv),
    system_row(ZYDIS_MNEMONIC_RDRAND, SystemOp::rdrand),
    system_row(ZYDIS_MNEMONIC_RDSEED, SystemOp::rdseed),
    system_row(ZYDIS_MNEMONIC_RSM, SystemOp::rsm),
    system_row(ZYDIS_MNEMONIC_MCOMMIT, SystemOp::mcommit),
    system_row(ZYDIS_MNEMONIC_SERIALIZE, SystemOp::serialize),
    system_row(ZYDIS_MNEMONIC_SKINIT, SystemOp::skinit)};

constexpr std::array<Row, 25> control = {
    system_row(ZYDIS_MNEMONIC_SYSCALL, SystemOp::syscall),
    system_row(ZYDIS_MNEMONIC_SYSRET, SystemOp::sysret),
    system_row(ZYDIS_MNEMONIC_SYSENTER, SystemOp::sysenter),
    system_row(ZYDIS_MNEMONIC_SYSEXIT, SystemOp::sysexit),
    system_row(ZYDIS_MNEMONIC_IRET, SystemOp::iret),
    system_row(ZYDIS_MNEMONIC_IRETD, SystemOp::iret),
    system_row(ZYDIS_MNEMONIC_IRETQ, SystemOp::iret),
    system_row(ZYDIS_MNEMONIC_INT, SystemOp::int_n),
    system_row(ZYDIS_MNEMONIC_INT3, SystemOp::int3),
    system_row(ZYDIS_MNEMONIC_INTO, SystemOp::into),
    system_row(ZYDIS_MNEMONIC_INT1, SystemOp::int1),
    system_row(ZYDIS_MNEMONIC_JMP, SystemOp::far_jump, forms::far_pointer),
    system_row(ZYDIS_MNEMONIC_JMP, SystemOp::far_jump, forms::far_m),
    system_row(ZYDIS_MNEMONIC_CALL, SystemOp::far_call, forms::far_pointer),
    system_row(ZYDIS_MNEMONIC_CALL, SystemOp::far_call, forms::far_m),
    system_row(ZYDIS_MNEMONIC_RET, SystemOp::far_return, forms::far),
    system_row(ZYDIS_MNEMONIC_RET, SystemOp::far_return, forms::far_i),
    system_row(ZYDIS_MNEMONIC_IN, SystemOp::in),
    system_row(ZYDIS_MNEMONIC_OUT, SystemOp::out),
    system_row(ZYDIS_MNEMONIC_INSB, SystemOp::ins),
    system_row(ZYDIS_MNEMONIC_INSW, SystemOp::ins),
    system_row(ZYDIS_MNEMONIC_INSD, SystemOp::ins),
    system_row(ZYDIS_MNEMONIC_OUTSB, SystemOp::outs),
    system_row(ZYDIS_MNEMONIC_OUTSW, SystemOp::outs),
    system_row(ZYDIS_MNEMONIC_OUTSD, SystemOp::outs)};

constexpr std::array<Row, 6> virtualization = {
    system_row(ZYDIS_MNEMONIC_VMRUN, SystemOp::vmrun),
    system_row(ZYDIS_MNEMONIC_VMLOAD, SystemOp::vmload),
    system_row(ZYDIS_MNEMONIC_VMSAVE, SystemOp::vmsave),
    system_row(ZYDIS_MNEMONIC_VMMCALL, SystemOp::vmmcall),
    system_row(ZYDIS_MNEMONIC_STGI, SystemOp::stgi),
    system_row(ZYDIS_MNEMONIC_CLGI, SystemOp::clgi)};

template <class T>
constexpr std::array<Row, 4> bases_of_size() {
  constexpr u16 bits = sizeof(T) * 8;
  constexpr auto fs = x86::Segment::fs;
  constexpr auto gs = x86::Segment::gs;
  return {
      fast_row(ZYDIS_MNEMONIC_RDFSBASE, forms::r, bits, &op_read_base<fs, T>, SystemOp::rdfsbase),
      fast_row(ZYDIS_MNEMONIC_RDGSBASE, forms::r, bits, &op_read_base<gs, T>, SystemOp::rdgsbase),
      fast_row(ZYDIS_MNEMONIC_WRFSBASE, forms::r, bits, &op_write_base<fs, T>, SystemOp::wrfsbase),
      fast_row(ZYDIS_MNEMONIC_WRGSBASE, forms::r, bits, &op_write_base<gs, T>, SystemOp::wrgsbase)};
}

constexpr std::array<Row, 3> fast = {
    fast_row(ZYDIS_MNEMONIC_CLI, forms::none, 0, &op_cli, SystemOp::cli),
    ending(fast_row(ZYDIS_MNEMONIC_STI, forms::none, 0, &op_sti, SystemOp::sti)),
    fast_row(ZYDIS_MNEMONIC_SWAPGS, forms::none, 0, &op_swapgs, SystemOp::swapgs)};

constexpr auto rows = join(moves, tables, processor, control, virtualization, bases_of_size<u32>(),
                           bases_of_size<u64>(), fast);

}  // namespace

std::span<const Row> rows_system() {
  return rows;
}

}  // namespace softsnp::cpu
