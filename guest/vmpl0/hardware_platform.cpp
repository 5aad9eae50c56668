#include "guest/vmpl0/hardware_platform.hpp"

#include "arch/svm/vmsa.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/vmpl0/guarded.hpp"

namespace softsnp::svsm {
namespace {

void* pointer(GuestPhysical at) {
  return reinterpret_cast<void*>(at.value());
}

constexpr u64 svme_bit = 12;

}  // namespace

bool HardwarePlatform::read(GuestPhysical from, void* to, usize bytes) {
  return guarded_copy(to, pointer(from), bytes);
}
bool HardwarePlatform::write(GuestPhysical to, const void* from, usize bytes) {
  return guarded_copy(pointer(to), from, bytes);
}
bool HardwarePlatform::zero(GuestPhysical at, u64 bytes) {
  return guarded_zero(pointer(at), bytes);
}

RmpAnswer HardwarePlatform::pvalidate(GuestPhysical page, PageSize size, bool validate) {
  return guarded_pvalidate(page.value(), size, validate);
}
RmpAnswer HardwarePlatform::rmpadjust(GuestPhysical page, PageSize size,
                                      const Adjustment& adjustment) {
  return guarded_rmpadjust(page.value(), size, adjustment);
}

void HardwarePlatform::flush_tlb() {
  guest::write_cr3(guest::read_cr3());
}

bool HardwarePlatform::exchange_runnable(GuestPhysical vmsa, bool runnable) {
  auto* const efer = static_cast<u64*>(pointer(vmsa + __builtin_offsetof(svm::Vmsa, efer)));
  bool before;
  if (runnable) {
    asm volatile("lock bts %2, %1" : "=@ccc"(before), "+m"(*efer) : "Jr"(svme_bit) : "memory");
  } else {
    asm volatile("lock btr %2, %1" : "=@ccc"(before), "+m"(*efer) : "Jr"(svme_bit) : "memory");
  }
  return before;
}

}  // namespace softsnp::svsm
