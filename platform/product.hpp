// How certificates and the KDS write a product. Firmware sheet 6.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "arch/psp/tcb_version.hpp"

namespace softsnp::platform {

// Milan, Genoa, Turin: in names and URL paths.
std::string product_name(psp::Product product);
// In any case of letters.
std::optional<psp::Product> parse_product(std::string_view text);

// The VCEK's productName. A Turin's has no stepping.
std::string stepping_name(psp::Product product);

// The serial numbers of ARK, ASK and ASVK.
struct Serials {
  u32 ark, ask, asvk;
};
Serials serials(psp::Product product);

// How many bytes of CHIP_ID are the chip's: hwID in the VCEK, HWID in a URL.
usize hardware_id_bytes(psp::Product product);

}  // namespace softsnp::platform
