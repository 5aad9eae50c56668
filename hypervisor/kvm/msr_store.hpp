// Model-specific registers that are mere storage or constants to a guest. linux-boot sheet 4.4,
// 4.5; Linux arch/x86/kvm/{x86.c,mtrr.c,svm/svm.c}.
#pragma once

#include <array>
#include <optional>

#include "base/types.hpp"

namespace softsnp::kvm {

class MsrStore {
 public:
  // nullopt / false: #GP.
  std::optional<u64> read(u32 number) const;
  bool write(u32 number, u64 value);

  // kvmclock pages as the guest named them; 0 = none.
  u64 system_time = 0;
  u64 wall_clock = 0;

 private:
  u64* mtrr(u32 number);

  std::array<u64, 16> mtrr_variable_{};
  std::array<u64, 11> mtrr_fixed_{0x0606060606060606, 0x0606060606060606, 0x0606060606060606,
                                  0x0606060606060606, 0x0606060606060606, 0x0606060606060606,
                                  0x0606060606060606, 0x0606060606060606, 0x0606060606060606,
                                  0x0606060606060606, 0x0606060606060606};
  u64 mtrr_default_ = 0xC06;
  u64 hwcr_ = u64{1} << 24;  // TscFreqSel: the TSC counts at P0 frequency
  u64 nb_cfg_ = 0;
  u64 de_cfg_ = 2;  // LFENCE is serialising
};

}  // namespace softsnp::kvm
