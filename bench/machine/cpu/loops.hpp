// Small programs that run unchanged natively and inside the machine: one section of position
// independent code without data, so that its bytes can be copied to anywhere.
#pragma once

#include "base/types.hpp"

namespace softsnp::bench {

// memory: what the loop works on. count: how much of it to do. The result depends on all of it.
using Loop = u64 (*)(u8* memory, u64 count);

extern "C" {
// Arithmetic.
u64 softsnp_loop_integer_mix(u8* memory, u64 count);
u64 softsnp_loop_integer_chain(u8* memory, u64 count);
u64 softsnp_loop_carry_chain(u8* memory, u64 count);
u64 softsnp_loop_partial_registers(u8* memory, u64 count);
// Control flow.
u64 softsnp_loop_random_branches(u8* memory, u64 count);
u64 softsnp_loop_calls(u8* memory, u64 count);
u64 softsnp_loop_indirect(u8* memory, u64 count);
// Memory; count is in quadwords or in steps.
u64 softsnp_loop_chase(u8* memory, u64 count);
u64 softsnp_loop_sum(u8* memory, u64 count);
u64 softsnp_loop_copy(u8* memory, u64 count);
u64 softsnp_loop_scatter(u8* memory, u64 count);
u64 softsnp_loop_touch_pages(u8* memory, u64 count);
// Strings; count is in bytes.
u64 softsnp_loop_rep_movsb(u8* memory, u64 count);
u64 softsnp_loop_rep_stosq(u8* memory, u64 count);
u64 softsnp_loop_repe_cmpsb(u8* memory, u64 count);
u64 softsnp_loop_byte_copy(u8* memory, u64 count);
u64 softsnp_loop_byte_length(u8* memory, u64 count);
// What compiled code looks like.
u64 softsnp_loop_sort(u8* memory, u64 count);
u64 softsnp_loop_hash_table(u8* memory, u64 count);
u64 softsnp_loop_unpack(u8* memory, u64 count);
}

}  // namespace softsnp::bench
