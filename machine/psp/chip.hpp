// What is burnt into the part: its secret and its id.
#pragma once

#include "machine/psp/config.hpp"

namespace softsnp::psp {

struct Chip {
  ChipSecret secret{};
  ChipId id{};  // as reports show it
};

// As configured, else from the seed. A Turin's id has 8 bytes, then zeros (firmware sheet 5.1,
// CHIP_ID).
Chip make_chip(const PspConfig& config);

}  // namespace softsnp::psp
