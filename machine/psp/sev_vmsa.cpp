#include "machine/psp/sev_vmsa.hpp"

#include "arch/psp/sev_buffers.hpp"
#include "arch/svm/vmsa.hpp"
#include "arch/svm/vmsa_integrity.hpp"
#include "machine/psp/sev_operands.hpp"

namespace softsnp::psp {

namespace {

// The lowest free block.
std::optional<u32> take_block(SevState& sev) {
  constexpr u32 count = SevInit::tmr_bytes / svm::ChecksumBlock::bytes;
  u32 block = 0;
  for (const u32 taken : sev.checksum_blocks) {  // ascending
    if (taken != block) {
      break;
    }
    ++block;
  }
  if (block == count) {
    return std::nullopt;
  }
  sev.checksum_blocks.insert(block);
  return block;
}

}  // namespace

Status check_vmsa_update(Request& request, u64 bytes) {
  if (bytes != page_size) {
    return request.fail(Status::invalid_length, "a save area has 1000h bytes");
  }
  if (!request.sev_guest->encrypted_state()) {
    return request.fail(Status::unsupported, "the guest is not an SEV-ES guest");
  }
  return Status::success;
}

Status place_vmsa(Firmware& firmware, Request& request, std::span<const u8, page_size> plain,
                  SystemPhysical page) {
  SevState& sev = firmware.state.sev;
  const std::optional<u32> block = take_block(sev);
  if (!block) {
    return request.fail(Status::resource_limit, "the TMR has no room for another checksum");
  }
  SevGuest& guest = *request.sev_guest;
  guest.checksum_blocks.push_back(*block);
  const SystemPhysical at = sev.tmr.base + u64{*block} * svm::ChecksumBlock::bytes;
  auto vmsa = load_le<svm::Vmsa>(plain.data());
  vmsa.reserved_380 = 0;
  vmsa.checksum_address = at.value();
  firmware.port.write_value(at, svm::ChecksumBlock{svm::vmsa_checksum(vmsa.raw), {}});
  write_memory(firmware, page, vmsa.raw, memory::key_of(guest.asid));
  return Status::success;
}

}  // namespace softsnp::psp
