// Memory that is left to the guest to accept: which, and the table that tells Linux of it.
#pragma once

#include <span>
#include <vector>

#include "image/launch_plan.hpp"

namespace softsnp::image {

// The kernel's boot code looks for the table, whose GUID is in its instructions then.
bool accepts_memory(std::span<const u8> kernel);

// Of a plan's regions, the 2 MiB blocks without content, apart from those that touch what is needed
// before anybody can accept it.
std::vector<RamRange> unaccepted_blocks(const std::vector<LaunchRegion>& regions,
                                        const std::vector<RamRange>& needed);

// The regions without those blocks.
std::vector<LaunchRegion> without(std::vector<LaunchRegion> regions,
                                  const std::vector<RamRange>& unaccepted);

// boot::efi::UnacceptedMemory with its bitmap. unaccepted: not empty.
std::vector<u8> unaccepted_table(const std::vector<RamRange>& unaccepted);

}  // namespace softsnp::image
