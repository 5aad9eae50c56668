// Accesses to the guest's memory that may fault: the exception's handler makes them return. RMP
// instructions likewise.
#pragma once

#include "arch/address.hpp"
#include "guest/runtime/exceptions.hpp"
#include "guest/svsm/platform.hpp"

namespace softsnp::svsm {

// False: a fault.
bool guarded_copy(void* to, const void* from, usize bytes);
bool guarded_zero(void* at, usize bytes);
RmpAnswer guarded_pvalidate(u64 at, PageSize size, bool validate);
RmpAnswer guarded_rmpadjust(u64 at, PageSize size, const Adjustment& adjustment);

// If the exception is of one of the above: it returns when the handler does.
bool end_guarded(guest::Frame& frame);

}  // namespace softsnp::svsm
