// A guest context in the form in which migration agents carry it. Firmware sheet 4.3 ("GCTX blob").
#pragma once

#include "machine/psp/guest_message.hpp"

namespace softsnp::psp {

// with_root: the root metadata entry too; else it is zero.
ExportedContext export_context(const GuestContext& context, bool with_root);

// The guest becomes the exported one and runs. It keeps its own memory key, ASID, REPORT_ID and
// REPORT_ID_MA.
void import_context(Firmware& firmware, GuestContext& context, const ExportedContext& from);

}  // namespace softsnp::psp
