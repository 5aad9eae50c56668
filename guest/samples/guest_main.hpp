#pragma once

#include "base/types.hpp"

namespace softsnp::guest {

// boot_params as the Linux boot protocol lays them out; the command line chooses the case.
[[noreturn]] void guest_main(const u8* boot_params);

}  // namespace softsnp::guest
