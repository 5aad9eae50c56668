#include <cstring>

#include "machine/cpu/exec/xsave.hpp"

namespace softsnp::cpu::xsave {

using x87::stopped;

namespace {

constexpr unsigned st_at = 32, mxcsr_at = 24, xmm_at = 160;

// Pointers are 57-bit canonical addresses; seen on a Zen 5.
u64 canonical(u64 value) {
  return static_cast<u64>(static_cast<i64>(value << 7) >> 7);
}

}  // namespace

void write_x87(const FxState& fx, bool wide, u8* image) {
  store_le<u16>(image, fx.fcw);
  store_le<u16>(image + 2, fx.fsw);
  store_le<u16>(image + 4, fx.ftw);
  // RstrFpErrPtrs (CPUID 8000_0008 EBX[2]): without a pending exception the pointers are stored as
  // zeros. Seen on a Zen 5.
  const bool pointers = x87::pending(fx);
  store_le<u16>(image + 6, pointers ? fx.fop : u16{0});
  u64 ip = pointers ? fx.fip : 0, dp = pointers ? fx.fdp : 0;
  if (!wide) {
    ip = static_cast<u32>(ip) | (pointers ? u64{fx.fcs} << 32 : 0);
    dp = static_cast<u32>(dp) | (pointers ? u64{fx.fds} << 32 : 0);
  }
  store_le<u64>(image + 8, ip);
  store_le<u64>(image + 16, dp);
  std::memcpy(image + st_at, fx.st, sizeof fx.st);
}

void write_mxcsr(const FxState& fx, u8* image) {
  store_le<u32>(image + mxcsr_at, fx.mxcsr);
  store_le<u32>(image + mxcsr_at + 4, host::mxcsr::valid);
}

void write_xmm(const FxState& fx, unsigned count, u8* image) {
  std::memcpy(image + xmm_at, fx.xmm, count * sizeof(Xmm));
}

void read_x87(FxState& fx, bool wide, const u8* image) {
  x87::set_control(fx, load_le<u16>(image));
  x87::set_status(fx, load_le<u16>(image + 2));
  fx.ftw = image[4];
  fx.fop = load_le<u16>(image + 6) & 0x7FF;
  const u64 ip = load_le<u64>(image + 8), dp = load_le<u64>(image + 16);
  fx.fip = wide ? canonical(ip) : static_cast<u32>(ip);
  fx.fdp = wide ? canonical(dp) : static_cast<u32>(dp);
  fx.fcs = wide ? u16{0} : static_cast<u16>(ip >> 32);
  fx.fds = wide ? u16{0} : static_cast<u16>(dp >> 32);
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(fx.st[i], image + st_at + 16 * i, 10);
    std::memset(fx.st[i] + 10, 0, 6);
  }
}

void read_xmm(FxState& fx, unsigned count, const u8* image) {
  std::memcpy(fx.xmm, image + xmm_at, count * sizeof(Xmm));
}

bool mxcsr_refused(const u8* image) {
  return (load_le<u32>(image + mxcsr_at) & ~host::mxcsr::valid) != 0;
}

void initialise_xmm(FxState& fx, unsigned count) {
  std::memset(fx.xmm, 0, count * sizeof(Xmm));
}

unsigned xmm_count(const Core& core) {
  return in_code64(core) ? 16 : 8;
}

namespace {
// EFER.FFXSR: XMM registers stay out of it at CPL 0 in 64-bit mode. APM2 11.4.4.3.
bool fast(const Core& core) {
  return (core.state.efer & x86::efer::ffxsr) != 0 && core.state.cpl == 0 && in_code64(core);
}
}  // namespace

bool fxsave(Core& core, const Op* op, u64 linear, bool wide) {
  u8 image[fx_bytes];
  if (!probe_write_slow(core, linear, fx_bytes) || !load_bytes(core, linear, image, fx_bytes)) {
    return stopped(fault_at(core, op));
  }
  const FxState& fx = core.state.fx;
  write_x87(fx, wide, image);
  write_mxcsr(fx, image);
  write_xmm(fx, fast(core) ? 0 : xmm_count(core), image);
  return store_bytes(core, linear, image, fx_bytes) || stopped(fault_at(core, op));
}

bool fxrstor(Core& core, const Op* op, u64 linear, bool wide) {
  u8 image[fx_bytes];
  if (!load_bytes(core, linear, image, fx_bytes)) {
    return stopped(fault_at(core, op));
  }
  if (mxcsr_refused(image)) {
    return stopped(raise_error(core, op, x86::Vector::gp, 0));
  }
  FxState& fx = core.state.fx;
  read_x87(fx, wide, image);
  fx.mxcsr = load_le<u32>(image + mxcsr_at);
  read_xmm(fx, fast(core) ? 0 : xmm_count(core), image);
  return true;
}

}  // namespace softsnp::cpu::xsave
