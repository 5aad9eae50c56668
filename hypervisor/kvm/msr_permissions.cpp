#include "hypervisor/kvm/msr_permissions.hpp"

#include "arch/x86/msr.hpp"

namespace softsnp::kvm {
namespace msr = x86::msr;
namespace {

// Registers that VMRUN or VMLOAD switches anyway.
constexpr u32 passed_always[] = {msr::star,         msr::lstar,          msr::cstar,
                                 msr::sfmask,       msr::fs_base,        msr::gs_base,
                                 msr::sysenter_cs,  msr::kernel_gs_base, msr::sysenter_esp,
                                 msr::sysenter_eip, msr::tsc_aux};
// In a VMSA besides.
constexpr u32 passed_protected[] = {msr::efer, msr::pat, msr::xss, msr::ghcb};

// Two bits an MSR in three ranges of 2000h.
void pass(std::vector<u8>& map, u32 number) {
  constexpr u32 range_starts[] = {0x0, 0xC0000000, 0xC0010000};
  for (usize range = 0; range < 3; ++range) {
    if (number >= range_starts[range] && number < range_starts[range] + 0x2000) {
      const u32 index = number - range_starts[range];
      u8& byte = map[range * 0x800 + index / 4];
      byte = static_cast<u8>(byte & ~(3u << (2 * (index % 4))));
    }
  }
}

}  // namespace

std::vector<u8> make_io_permissions() {
  return std::vector<u8>(io_map_bytes, 0xFF);
}

std::vector<u8> make_msr_permissions(VmType type) {
  std::vector<u8> map(msr_map_bytes, 0xFF);
  for (const u32 number : passed_always) {
    pass(map, number);
  }
  if (has_encrypted_memory(type)) {
    pass(map, msr::sev_status);
  }
  if (has_encrypted_state(type)) {
    for (const u32 number : passed_protected) {
      pass(map, number);
    }
  }
  return map;
}

}  // namespace softsnp::kvm
