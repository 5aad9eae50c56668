// x87, APM volume 5. Forms that compute share one handler: the escape opcode and ModRM choose the
// operation of the host's unit.
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/x87.hpp"

namespace softsnp::cpu {
namespace {

using namespace x87;

#define SOFTSNP_REG(MNEMONIC, form) \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::form, 0, &compute_register)
#define SOFTSNP_MEM(MNEMONIC) memory_row<Memory>(ZYDIS_MNEMONIC_##MNEMONIC, forms::m, 0)
#define SOFTSNP_CONTROL(MNEMONIC, handler) row(ZYDIS_MNEMONIC_##MNEMONIC, forms::none, 0, handler)

constexpr Row table[] = {
    SOFTSNP_REG(F2XM1, none),
    SOFTSNP_REG(FABS, none),
    SOFTSNP_MEM(FADD),
    SOFTSNP_REG(FADD, st_st),
    SOFTSNP_REG(FADDP, st_st),
    SOFTSNP_MEM(FBLD),
    SOFTSNP_MEM(FBSTP),
    SOFTSNP_REG(FCHS, none),
    SOFTSNP_REG(FCMOVB, st_st),
    SOFTSNP_REG(FCMOVBE, st_st),
    SOFTSNP_REG(FCMOVE, st_st),
    SOFTSNP_REG(FCMOVNB, st_st),
    SOFTSNP_REG(FCMOVNBE, st_st),
    SOFTSNP_REG(FCMOVNE, st_st),
    SOFTSNP_REG(FCMOVNU, st_st),
    SOFTSNP_REG(FCMOVU, st_st),
    SOFTSNP_MEM(FCOM),
    SOFTSNP_REG(FCOM, st),
    SOFTSNP_REG(FCOMI, st_st),
    SOFTSNP_REG(FCOMIP, st_st),
    SOFTSNP_MEM(FCOMP),
    SOFTSNP_REG(FCOMP, st),
    SOFTSNP_REG(FCOMPP, none),
    SOFTSNP_REG(FCOS, none),
    SOFTSNP_REG(FDECSTP, none),
    SOFTSNP_MEM(FDIV),
    SOFTSNP_REG(FDIV, st_st),
    SOFTSNP_REG(FDIVP, st_st),
    SOFTSNP_MEM(FDIVR),
    SOFTSNP_REG(FDIVR, st_st),
    SOFTSNP_REG(FDIVRP, st_st),
    SOFTSNP_REG(FFREE, st),
    SOFTSNP_REG(FFREEP, st),
    SOFTSNP_MEM(FIADD),
    SOFTSNP_MEM(FICOM),
    SOFTSNP_MEM(FICOMP),
    SOFTSNP_MEM(FIDIV),
    SOFTSNP_MEM(FIDIVR),
    SOFTSNP_MEM(FILD),
    SOFTSNP_MEM(FIMUL),
    SOFTSNP_REG(FINCSTP, none),
    SOFTSNP_MEM(FIST),
    SOFTSNP_MEM(FISTP),
    SOFTSNP_MEM(FISTTP),
    SOFTSNP_MEM(FISUB),
    SOFTSNP_MEM(FISUBR),
    SOFTSNP_MEM(FLD),
    SOFTSNP_REG(FLD, st),
    SOFTSNP_REG(FLD1, none),
    SOFTSNP_MEM(FLDCW),
    SOFTSNP_MEM(FLDENV),
    SOFTSNP_REG(FLDL2E, none),
    SOFTSNP_REG(FLDL2T, none),
    SOFTSNP_REG(FLDLG2, none),
    SOFTSNP_REG(FLDLN2, none),
    SOFTSNP_REG(FLDPI, none),
    SOFTSNP_REG(FLDZ, none),
    SOFTSNP_MEM(FMUL),
    SOFTSNP_REG(FMUL, st_st),
    SOFTSNP_REG(FMULP, st_st),
    SOFTSNP_REG(FNOP, none),
    SOFTSNP_MEM(FNSAVE),
    SOFTSNP_MEM(FNSTCW),
    SOFTSNP_MEM(FNSTENV),
    SOFTSNP_MEM(FNSTSW),
    SOFTSNP_REG(FPATAN, none),
    SOFTSNP_REG(FPREM, none),
    SOFTSNP_REG(FPREM1, none),
    SOFTSNP_REG(FPTAN, none),
    SOFTSNP_REG(FRNDINT, none),
    SOFTSNP_MEM(FRSTOR),
    SOFTSNP_REG(FSCALE, none),
    SOFTSNP_REG(FSIN, none),
    SOFTSNP_REG(FSINCOS, none),
    SOFTSNP_REG(FSQRT, none),
    SOFTSNP_MEM(FST),
    SOFTSNP_REG(FST, st),
    SOFTSNP_MEM(FSTP),
    SOFTSNP_REG(FSTP, st),
    SOFTSNP_REG(FSTPNCE, st),
    SOFTSNP_MEM(FSUB),
    SOFTSNP_REG(FSUB, st_st),
    SOFTSNP_REG(FSUBP, st_st),
    SOFTSNP_MEM(FSUBR),
    SOFTSNP_REG(FSUBR, st_st),
    SOFTSNP_REG(FSUBRP, st_st),
    SOFTSNP_REG(FTST, none),
    SOFTSNP_REG(FUCOM, st),
    SOFTSNP_REG(FUCOMI, st_st),
    SOFTSNP_REG(FUCOMIP, st_st),
    SOFTSNP_REG(FUCOMP, st_st),
    SOFTSNP_REG(FUCOMPP, none),
    SOFTSNP_REG(FXAM, none),
    SOFTSNP_REG(FXCH, st),
    SOFTSNP_REG(FXTRACT, none),
    SOFTSNP_REG(FYL2X, none),
    SOFTSNP_REG(FYL2XP1, none),
    SOFTSNP_CONTROL(FNINIT, &fninit),
    SOFTSNP_CONTROL(FNCLEX, &fnclex),
    SOFTSNP_CONTROL(FWAIT, &fwait),
    SOFTSNP_CONTROL(FENI8087_NOP, &ignored),
    SOFTSNP_CONTROL(FDISI8087_NOP, &ignored),
    SOFTSNP_CONTROL(FSETPM287_NOP, &ignored),
    row(ZYDIS_MNEMONIC_FNSTSW, forms::r, 16, &fnstsw_ax),
};

}  // namespace

std::span<const Row> rows_x87() {
  return table;
}

}  // namespace softsnp::cpu
