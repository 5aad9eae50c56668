// x86 control registers, flags, exceptions. APM volume 2 (24593), chapters 3 and 8. Freestanding.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::x86 {

// APM2 3.1.6, RFLAGS.
namespace rflags {
inline constexpr u64 cf = bit(0), fixed1 = bit(1), pf = bit(2), af = bit(4), zf = bit(6),
                     sf = bit(7), tf = bit(8), if_ = bit(9), df = bit(10), of = bit(11),
                     iopl = mask_bits(13, 12), nt = bit(14), rf = bit(16), vm = bit(17),
                     ac = bit(18), vif = bit(19), vip = bit(20), id = bit(21);
inline constexpr u64 status = cf | pf | af | zf | sf | of;
}  // namespace rflags

// APM2 3.1.1, CR0.
namespace cr0 {
inline constexpr u64 pe = bit(0), mp = bit(1), em = bit(2), ts = bit(3), et = bit(4), ne = bit(5),
                     wp = bit(16), am = bit(18), nw = bit(29), cd = bit(30), pg = bit(31);
}

// APM2 3.1.3, CR4.
namespace cr4 {
inline constexpr u64 vme = bit(0), pvi = bit(1), tsd = bit(2), de = bit(3), pse = bit(4),
                     pae = bit(5), mce = bit(6), pge = bit(7), pce = bit(8), osfxsr = bit(9),
                     osxmmexcpt = bit(10), umip = bit(11), la57 = bit(12), fsgsbase = bit(16),
                     pcide = bit(17), osxsave = bit(18), smep = bit(20), smap = bit(21),
                     pke = bit(22), cet = bit(23);
}

// APM2 3.1.7, EFER.
namespace efer {
inline constexpr u64 sce = bit(0), lme = bit(8), lma = bit(10), nxe = bit(11), svme = bit(12),
                     lmsle = bit(13), ffxsr = bit(14), tce = bit(15);
}

// APM2 8.2, vectors.
enum class Vector : u8 {
  de = 0,
  db = 1,
  nmi = 2,
  bp = 3,
  of = 4,
  br = 5,
  ud = 6,
  nm = 7,
  df = 8,
  ts = 10,
  np = 11,
  ss = 12,
  gp = 13,
  pf = 14,
  mf = 16,
  ac = 17,
  mc = 18,
  xf = 19,
  cp = 21,
  hv = 28,
  vc = 29,
  sx = 30,
};

// APM2 8.4.2, page-fault error code; bit 31 is the RMP bit (15.36.10).
namespace pf_error {
inline constexpr u64 present = bit(0), write = bit(1), user = bit(2), reserved = bit(3),
                     fetch = bit(4), protection_key = bit(5), shadow_stack = bit(6), rmp = bit(31);
}

// Encoding order of the registers (APM3 1.2.7).
enum class Gpr : u8 {
  rax,
  rcx,
  rdx,
  rbx,
  rsp,
  rbp,
  rsi,
  rdi,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15
};
enum class Segment : u8 { es, cs, ss, ds, fs, gs };
inline constexpr unsigned segment_count = 6;

// Page-table entry bits (APM2 5.4.1).
namespace pte {
inline constexpr u64 present = bit(0), write = bit(1), user = bit(2), pwt = bit(3), pcd = bit(4),
                     accessed = bit(5), dirty = bit(6), large = bit(7), global = bit(8),
                     nx = bit(63);
inline constexpr u64 address_mask = mask_bits(51, 12);
}  // namespace pte

}  // namespace softsnp::x86
