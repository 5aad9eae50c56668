// Well-formed beginnings for the targets of attest/, as those targets read them.
#pragma once

#include <vector>

#include "base/types.hpp"

namespace softsnp::fuzz {

using Files = std::vector<std::vector<u8>>;

Files report_seeds();
Files certificate_seeds();
Files id_block_seeds();

}  // namespace softsnp::fuzz
