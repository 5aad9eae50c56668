// Every SVSM call with every class of bad argument, and what must and must not have happened after.
// SVSM sheet 2-6. Freestanding.
#pragma once

#include "guest/svsm_conformance/stage.hpp"

namespace softsnp::conformance {

void run_all(Stage& stage);

void protocol_cases(Stage& stage);
void calling_area_cases(Stage& stage);
void pvalidate_list_cases(Stage& stage);
void pvalidate_entry_cases(Stage& stage);
void vcpu_cases(Stage& stage);
void memory_cases(Stage& stage);
void attestation_cases(Stage& stage);

}  // namespace softsnp::conformance
