// Segment checks of legacy modes. APM volume 2, 4.5.3 (null selectors), 4.7 (types), 4.12 (limits).
#include "machine/cpu/exec/memory.hpp"

namespace softsnp::cpu {
namespace {

constexpr unsigned type_code = 8, type_expand_down = 4, type_readable_or_writable = 2;

bool within_limit(const svm::SegmentRegister& segment, u64 offset, u32 size) {
  const u64 last = offset + size - 1;
  const bool data = (segment.attributes & type_code) == 0;
  if (data && (segment.attributes & type_expand_down) != 0) {
    const bool big = (segment.attributes & svm::attribute::default_big) != 0;
    return offset > segment.limit && last <= (big ? 0xFFFFFFFFu : 0xFFFFu);
  }
  return last <= segment.limit;
}

bool type_permits(const svm::SegmentRegister& segment, Access access) {
  const bool code = (segment.attributes & type_code) != 0;
  if (access == Access::write) {
    return !code && (segment.attributes & type_readable_or_writable) != 0;
  }
  return !code || (segment.attributes & type_readable_or_writable) != 0;
}

}  // namespace

bool check_segment(Core& core, unsigned segment, u64 offset, u32 size, Access access) {
  const svm::SegmentRegister& reg = core.state.seg[segment];
  bool ok = within_limit(reg, offset, size);
  if (core.state.protected_mode() && !core.state.v8086()) {
    ok = ok && (reg.attributes & svm::attribute::present) != 0 && type_permits(reg, access);
  }
  if (!ok) {
    const bool stack = segment == static_cast<unsigned>(x86::Segment::ss);
    core.fault = {FaultKind::exception, static_cast<u8>(stack ? x86::Vector::ss : x86::Vector::gp),
                  true, 0, 0};
  }
  return ok;
}

u64 legacy_linear(Core& core, unsigned segment, u64 offset, u32 size, Access access) {
  if (!check_segment(core, segment, offset, size, access)) {
    return refused_linear;
  }
  return static_cast<u32>(offset + core.seg_base[segment]);
}

}  // namespace softsnp::cpu
