// A segment register as VMCB and VMSA store it (hardware sheet 8.1). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::svm {

// attributes: descriptor bits 47:40 in [7:0], descriptor bits 55:52 in [11:8].
// [3:0] type, 4 S, [6:5] DPL, 7 P, 8 AVL, 9 L, 10 D/B, 11 G.
struct SegmentRegister {
  u16 selector;
  u16 attributes;
  u32 limit;  // in bytes, granularity already applied
  u64 base;
};
static_assert(sizeof(SegmentRegister) == 16);

namespace attribute {
inline constexpr u16 type_mask = 0xF, code_or_data = 0x10, dpl_mask = 0x60, present = 0x80,
                     available = 0x100, long_mode = 0x200, default_big = 0x400, granularity = 0x800;
inline constexpr unsigned dpl_shift = 5;
}  // namespace attribute

}  // namespace softsnp::svm
