// The parts of rows_sse(), each in the file of its name.
#pragma once

#include "machine/cpu/decode/rows.hpp"

namespace softsnp::cpu {

std::span<const Row> rows_sse_integer();
std::span<const Row> rows_sse_float();
std::span<const Row> rows_sse_move();
std::span<const Row> rows_mmx();
std::span<const Row> rows_xsave();

}  // namespace softsnp::cpu
