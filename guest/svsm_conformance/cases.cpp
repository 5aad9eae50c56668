#include "guest/svsm_conformance/cases.hpp"

#include "arch/svm/vmsa.hpp"
#include "guest/svsm_conformance/expect.hpp"

namespace softsnp::conformance {

void put_vmsa(Stage& stage, GuestPhysical at, const VmsaContent& content) {
  for (u64 offset = 0; offset < page_size; offset += sizeof(u64)) {
    put(stage, at + offset, u64{0});
  }
  put(stage, at + __builtin_offsetof(svm::Vmsa, vmpl), content.vmpl);
  put(stage, at + __builtin_offsetof(svm::Vmsa, efer), content.efer);
  put(stage, at + __builtin_offsetof(svm::Vmsa, sev_features), content.features);
}

void run_all(Stage& stage) {
  protocol_cases(stage);
  calling_area_cases(stage);
  pvalidate_list_cases(stage);
  pvalidate_entry_cases(stage);
  vcpu_cases(stage);
  memory_cases(stage);
  attestation_cases(stage);
}

}  // namespace softsnp::conformance
