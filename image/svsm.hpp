// The SVSM in a plan: its image and what it is told, at the top of RAM below 4 GiB, and the state
// it starts in. The guest's own start becomes a part of what it is told.
#pragma once

#include "arch/boot/svsm_launch.hpp"
#include "image/elf_segments.hpp"
#include "image/image.hpp"

namespace softsnp::image {

// What is linked for the SVSM's address may take so much.
inline constexpr u64 maximum_svsm_image = u64{64} << 20;

struct SvsmPlacement {
  ElfImage elf;
  RamRange own;  // in 2 MiB blocks
  GuestPhysical launch_pages;
  GuestPhysical page_tables;

  GuestPhysical place_of(u64 virtual_address) const {
    return own.start + (virtual_address - boot::svsm_virtual_base);
  }
};

// Inputs with an SVSM, of mode snp.
Result<SvsmPlacement, ImageError> svsm_placement(const Inputs& inputs);

// One mapping of guest memory to itself, in blocks of 1 GiB but around the SVSM, and the SVSM's own
// at its address; all private.
std::vector<u8> svsm_page_tables(const SvsmPlacement& at, const Inputs& inputs);
// unaccepted: at most boot::SvsmLaunch::max_unaccepted.
boot::SvsmLaunchPages svsm_launch_pages(const SvsmPlacement& at, const Inputs& inputs,
                                        const std::vector<RamRange>& unaccepted,
                                        const svm::Vmsa& guest);
svm::Vmsa svsm_entry_state(const SvsmPlacement& at);

// Takes [start, start + length) out of the RAM of a map: reserved.
void reserve(std::vector<boot::E820Entry>& map, const RamRange& range);

}  // namespace softsnp::image
