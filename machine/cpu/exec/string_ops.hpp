// Handlers of MOVS, STOS, LODS, CMPS, SCAS. Repeated forms do up to a page of elements, then run
// again as if they were the next instruction: one instruction of the budget each time.
#pragma once

#include "machine/cpu/exec/operands.hpp"

namespace softsnp::cpu {

// Op::extra of a string instruction.
enum class Repeat : u8 { none, while_equal, while_not_equal };

template <class T>
const Op* op_movs(Core& core, const Op* op);
template <class T>
const Op* op_stos(Core& core, const Op* op);
template <class T>
const Op* op_lods(Core& core, const Op* op);
template <class T>
const Op* op_cmps(Core& core, const Op* op);
template <class T>
const Op* op_scas(Core& core, const Op* op);

}  // namespace softsnp::cpu
