#include "guest/svsm/translations.hpp"

#include "arch/svm/vmsa.hpp"

namespace softsnp::svsm {

void flush_translations(Platform& platform, const State& state) {
  constexpr u64 no_processor = 0;
  for (const VmsaRecord& record : state.vcpus) {
    if (record.page != GuestPhysical(0)) {
      (void)write_value(platform, record.page + __builtin_offsetof(svm::Vmsa, pcpu_id),
                        no_processor);
    }
  }
  platform.flush_tlb();
}

}  // namespace softsnp::svsm
