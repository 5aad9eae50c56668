// The checksum over the save area of an SEV-ES guest. Hardware sheet 8.1 ("SEV-ES integrity"), 9.1
// row 6, 9.2. SNP guests have none: the RMP guards their save areas.
#include "arch/svm/vmsa_integrity.hpp"
#include "machine/cpu/svm/guest_image.hpp"
#include "machine/memory/rmp/page_state.hpp"

namespace softsnp::cpu {
namespace {

// Memory of the firmware, as far as a core can see. The address comes out of the save area, and
// what is written there at an exit must not hit anybody else.
bool is_firmware_memory(Mmu& mmu, SystemPhysical at) {
  if (!mmu.dram().contains(at, svm::ChecksumBlock::bytes) ||
      !is_aligned(at.value(), svm::ChecksumBlock::bytes)) {
    return false;
  }
  if (!mmu.rmp().enabled()) {
    return true;
  }
  const memory::PageState state = memory::page_state(mmu.rmp(), at.page());
  return state == memory::PageState::firmware || state == memory::PageState::default_;
}

u32 checksum_now(Mmu& mmu, const GuestImage& image) {
  return svm::vmsa_checksum(mmu.dram().frame(image.vmsa_page, memory::key_of(image.asid)));
}

}  // namespace

bool checksum_holds(Mmu& mmu, const GuestImage& image) {
  const SystemPhysical at(image.vmsa.checksum_address);
  if (!is_firmware_memory(mmu, at)) {
    return false;
  }
  svm::ChecksumBlock block;
  mmu.dram().read(at, memory::KeyId::none, {reinterpret_cast<u8*>(&block), sizeof block});
  return block.checksum == checksum_now(mmu, image);
}

void write_checksum(Mmu& mmu, const GuestImage& image) {
  const svm::ChecksumBlock block{checksum_now(mmu, image), {}};
  mmu.dram().write(SystemPhysical(image.vmsa.checksum_address), memory::KeyId::none,
                   {reinterpret_cast<const u8*>(&block), sizeof block});
}

}  // namespace softsnp::cpu
