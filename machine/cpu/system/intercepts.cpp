#include "machine/cpu/system/intercepts.hpp"

#include "arch/x86/registers.hpp"

namespace softsnp::cpu {
namespace {

struct ClassRow {
  u64 first, last;
  ExitClass exit_class;
};

// Hardware sheet 7.1: the automatic exits; all others are non-automatic.
constexpr ClassRow automatic_rows[] = {
    {0x52, 0x52, ExitClass::automatic},              // #MC
    {0x5D, 0x5D, ExitClass::automatic},              // #VC under ReflectVC (7.3)
    {0x60, 0x64, ExitClass::automatic},              // INTR NMI SMI INIT VINTR
    {0x77, 0x78, ExitClass::automatic_completed},    // PAUSE HLT
    {0x7F, 0x7F, ExitClass::automatic},              // SHUTDOWN
    {0x8F, 0x9F, ExitClass::automatic_completed},    // EFER and CR write traps
    {0xA5, 0xA5, ExitClass::automatic},              // bus lock threshold
    {0xA6, 0xA6, ExitClass::automatic_completed},    // idle HLT
    {0x403, 0x403, ExitClass::automatic_completed},  // VMGEXIT
    {~u64{3}, ~u64{0}, ExitClass::automatic},        // INVALID BUSY IDLE_REQUIRED INVALID_PMC
};

}  // namespace

ExitClass exit_class(svm::ExitCode code, u64 info1) {
  if (code == svm::ExitCode::npf) {
    return (info1 & x86::pf_error::reserved) == 0 ? ExitClass::automatic : ExitClass::non_automatic;
  }
  for (const ClassRow& row : automatic_rows) {
    if (svm::number(code) >= row.first && svm::number(code) <= row.last) {
      return row.exit_class;
    }
  }
  return ExitClass::non_automatic;
}

}  // namespace softsnp::cpu
