// The SVSM's platform is the processor itself. Guest memory is mapped one to one, all of it
// private.
#pragma once

#include "guest/svsm/platform.hpp"

namespace softsnp::svsm {

class HardwarePlatform final : public Platform {
 public:
  constexpr HardwarePlatform() = default;
  bool read(GuestPhysical from, void* to, usize bytes) override;
  bool write(GuestPhysical to, const void* from, usize bytes) override;
  bool zero(GuestPhysical at, u64 bytes) override;
  RmpAnswer pvalidate(GuestPhysical page, PageSize size, bool validate) override;
  RmpAnswer rmpadjust(GuestPhysical page, PageSize size, const Adjustment& adjustment) override;
  void flush_tlb() override;
  bool exchange_runnable(GuestPhysical vmsa, bool runnable) override;
};

}  // namespace softsnp::svsm
