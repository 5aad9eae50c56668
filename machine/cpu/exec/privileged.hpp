// Fast forms of instructions that are simple nearly always: flags, segment bases. Whatever is not
// simple (intercepts, traps, faults, other TLB mode) goes to machine/cpu/system by op_system.
#pragma once

#include "machine/cpu/exec/stack.hpp"

namespace softsnp::cpu {

template <class T>
const Op* op_pushf(Core& core, const Op* op);
template <class T>
const Op* op_popf(Core& core, const Op* op);
const Op* op_cli(Core& core, const Op* op);
const Op* op_sti(Core& core, const Op* op);
const Op* op_swapgs(Core& core, const Op* op);
template <x86::Segment S, class T>
const Op* op_read_base(Core& core, const Op* op);
template <x86::Segment S, class T>
const Op* op_write_base(Core& core, const Op* op);

}  // namespace softsnp::cpu
