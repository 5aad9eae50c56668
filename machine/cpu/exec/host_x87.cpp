// x87 on the host's own unit. The guest's whole state is loaded, one instruction runs, the state
// is stored: all of these but the instruction itself are non-waiting, so that an exception which
// the guest unmasks shows in the stored status word and never becomes a host signal.
#include <array>
#include <utility>

#include "machine/cpu/exec/host_fp.hpp"

namespace softsnp::cpu::host {
namespace {

using RegisterForm = u32 (*)(FxState&, u32);
using MemoryForm = void (*)(FxState&, void*);

#define SOFTSNP_XMM_CLOBBERS                                                               \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

template <unsigned Code>
u32 register_form(FxState& fx, u32 ax) {
  asm volatile(
      "fxrstor64 %[fx]\n\tsahf\n\t.byte %c[opcode], %c[modrm]\n\tlahf\n\tfxsave64 %[fx]\n\tfninit"
      : [fx] "+m"(fx), "+a"(ax)
      : [opcode] "i"(0xD8 + (Code >> 6)), [modrm] "i"(0xC0 + (Code & 63))
      : "memory", "cc", SOFTSNP_XMM_CLOBBERS);
  return ax;
}

template <unsigned Code>
void memory_form(FxState& fx, void* operand) {
  // ModRM mod 0, rm 3: [RBX].
  asm volatile("fxrstor64 %[fx]\n\t.byte %c[opcode], %c[modrm]\n\tfxsave64 %[fx]\n\tfninit"
               : [fx] "+m"(fx)
               : "b"(operand), [opcode] "i"(0xD8 + (Code >> 3)), [modrm] "i"((Code & 7) << 3 | 3)
               : "memory", "cc", SOFTSNP_XMM_CLOBBERS);
}

template <usize... I>
constexpr auto register_forms(std::index_sequence<I...>) {
  return std::array<RegisterForm, sizeof...(I)>{&register_form<I>...};
}
template <usize... I>
constexpr auto memory_forms(std::index_sequence<I...>) {
  return std::array<MemoryForm, sizeof...(I)>{&memory_form<I>...};
}
constexpr auto registers = register_forms(std::make_index_sequence<512>{});
constexpr auto memories = memory_forms(std::make_index_sequence<64>{});

// The image as the host may load it: a host whose FXSAVE drops the pointers must not lose them.
class Loaded {
 public:
  explicit Loaded(FxState& fx) : fx_(fx), fop_(fx.fop), fip_(fx.fip), fdp_(fx.fdp) {
    mxcsr_ = fx.mxcsr;
    fx.mxcsr = mxcsr::initial;
  }
  ~Loaded() {
    fx_.fop = fop_;
    fx_.fip = fip_;
    fx_.fdp = fdp_;
    fx_.mxcsr = mxcsr_;
    fx_.mxcsr_mask = mxcsr::valid;
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

 private:
  FxState& fx_;
  u16 fop_;
  u64 fip_, fdp_;
  u32 mxcsr_;
};

}  // namespace

void restore_host_mxcsr() {
  const u32 value = mxcsr::initial;
  asm volatile("ldmxcsr %0" : : "m"(value));
}

u8 x87_register(FxState& fx, unsigned group, unsigned low6, u8 ah) {
  const Loaded loaded(fx);
  return static_cast<u8>(registers[(group & 7) << 6 | (low6 & 63)](fx, u32{ah} << 8) >> 8);
}

void x87_memory(FxState& fx, unsigned group, unsigned reg, void* operand) {
  const Loaded loaded(fx);
  memories[(group & 7) << 3 | (reg & 7)](fx, operand);
}

}  // namespace softsnp::cpu::host
