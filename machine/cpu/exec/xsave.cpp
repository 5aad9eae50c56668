#include "machine/cpu/exec/xsave.hpp"

#include <cstring>

namespace softsnp::cpu::xsave {

using x87::stopped;

namespace {

bool all_zero(const void* at, usize bytes) {
  const auto* from = static_cast<const u8*>(at);
  for (usize i = 0; i < bytes; ++i) {
    if (from[i] != 0) {
      return false;
    }
  }
  return true;
}

// Requested and enabled components. APM2 11.5.
u64 requested(const Core& core) {
  const u64 mask = (core.state.gpr[2] << 32) | static_cast<u32>(core.state.gpr[0]);
  return mask & core.state.xcr0 & components;
}

// XINUSE: not in the initial configuration. The last pointers do not count (seen on a Zen 5:
// FNOP leaves the x87 component initial).
u64 in_use(const FxState& fx) {
  const bool x87 =
      fx.fcw != x87::fcw::initial || fx.fsw != 0 || fx.ftw != 0 || !all_zero(fx.st, sizeof fx.st);
  const bool sse = !all_zero(fx.xmm, sizeof fx.xmm);
  return (x87 ? x87_component : 0) | (sse ? sse_component : 0);
}

struct Header {
  u64 present, compaction, reserved[6];
};
static_assert(sizeof(Header) == header_bytes);

// XSAVE, XSAVEOPT (standard form), XSAVEC, XSAVES (compacted form).
void write_area(const FxState& fx, u64 mask, Kind kind, bool wide, unsigned xmm_count, u8* area) {
  const bool compact = kind == Kind::xsavec || kind == Kind::xsaves;
  u64 used = in_use(fx);
  if (compact && fx.mxcsr != host::mxcsr::initial) {
    used |= sse_component;  // MXCSR belongs to the component in this form
  }
  const u64 written = kind == Kind::xsave ? mask : mask & used;
  if ((written & x87_component) != 0) {
    write_x87(fx, wide, area);
  }
  if ((written & sse_component) != 0) {
    write_xmm(fx, xmm_count, area);
  }
  if (((compact ? written : mask) & sse_component) != 0) {
    write_mxcsr(fx, area);
  }
  Header header = load_le<Header>(area + fx_bytes);
  header.present = compact ? mask & used : (header.present & ~mask) | (mask & used);
  if (compact) {
    header.compaction = mask | compacted;
  }
  store_le(area + fx_bytes, header);
}

bool save(Core& core, const Op* op, u64 linear, Kind kind, bool wide) {
  u8 area[area_bytes];
  if (!probe_write_slow(core, linear, area_bytes) || !load_bytes(core, linear, area, area_bytes)) {
    return stopped(fault_at(core, op));
  }
  write_area(core.state.fx, requested(core), kind, wide, xmm_count(core), area);
  return store_bytes(core, linear, area, area_bytes) || stopped(fault_at(core, op));
}

// APM2 11.5.10: which headers XRSTOR and XRSTORS refuse.
bool header_refused(const Core& core, const Header& header, bool supervisor) {
  const u64 enabled = core.state.xcr0 & components;
  if ((header.compaction & compacted) == 0) {
    return supervisor || (header.present & ~enabled) != 0 || header.compaction != 0 ||
           header.reserved[0] != 0;
  }
  const u64 listed = header.compaction & ~compacted;
  return (listed & ~enabled) != 0 || (header.present & ~listed) != 0 ||
         !all_zero(header.reserved, sizeof header.reserved);
}

bool restore(Core& core, const Op* op, u64 linear, Kind kind, bool wide) {
  u8 area[area_bytes];
  if (!load_bytes(core, linear, area, area_bytes)) {
    return stopped(fault_at(core, op));
  }
  const Header header = load_le<Header>(area + fx_bytes);
  if (header_refused(core, header, kind == Kind::xrstors)) {
    return stopped(raise_error(core, op, x86::Vector::gp, 0));
  }
  const u64 mask = requested(core);
  const bool compact = (header.compaction & compacted) != 0;
  const u64 loaded = mask & header.present;
  const bool loads_mxcsr = ((compact ? loaded : mask) & sse_component) != 0;
  if (loads_mxcsr && mxcsr_refused(area)) {
    return stopped(raise_error(core, op, x86::Vector::gp, 0));
  }
  FxState& fx = core.state.fx;
  if ((loaded & x87_component) != 0) {
    read_x87(fx, wide, area);
  } else if ((mask & x87_component) != 0) {
    x87::initialise(fx);
    std::memset(fx.st, 0, sizeof fx.st);
  }
  if ((loaded & sse_component) != 0) {
    read_xmm(fx, xmm_count(core), area);
  } else if ((mask & sse_component) != 0) {
    initialise_xmm(fx, xmm_count(core));
  }
  if (loads_mxcsr) {
    fx.mxcsr = load_le<u32>(area + 24);
  } else if ((mask & sse_component) != 0) {
    fx.mxcsr = host::mxcsr::initial;
  }
  return true;
}

// The exceptions that need no memory. APM4 and APM3, exception tables.
bool refused(Core& core, const Op* op, Kind kind, u64 linear) {
  const bool fx = kind == Kind::fxsave || kind == Kind::fxrstor;
  const u64 cr0 = core.state.cr0;
  if (!fx && (core.state.cr4 & x86::cr4::osxsave) == 0) {
    raise(core, op, x86::Vector::ud);
  } else if ((cr0 & x86::cr0::ts) != 0 || (fx && (cr0 & x86::cr0::em) != 0)) {
    raise(core, op, x86::Vector::nm);
  } else if (((kind == Kind::xsaves || kind == Kind::xrstors) && core.state.cpl != 0) ||
             ((linear & (fx ? 15 : 63)) != 0 && linear != refused_linear)) {
    raise_error(core, op, x86::Vector::gp, 0);
  } else {
    return false;
  }
  return true;
}

}  // namespace

bool execute(Core& core, const Op* op, u64 linear, Kind kind, bool wide) {
  if (refused(core, op, kind, linear)) {
    return false;
  }
  switch (kind) {
    case Kind::fxsave:
      return fxsave(core, op, linear, wide);
    case Kind::fxrstor:
      return fxrstor(core, op, linear, wide);
    case Kind::xrstor:
    case Kind::xrstors:
      return restore(core, op, linear, kind, wide);
    default:
      return save(core, op, linear, kind, wide);
  }
}

}  // namespace softsnp::cpu::xsave
