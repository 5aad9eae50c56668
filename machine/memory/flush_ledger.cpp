#include "machine/memory/flush_ledger.hpp"

namespace softsnp::memory {

void WbinvdLedger::asid_deactivated(Asid asid, unsigned core_count) {
  for (unsigned core = 0; core < core_count; ++core) {
    owing_[asid].insert(core);
  }
}

void WbinvdLedger::wbinvd(unsigned core) {
  for (auto& [asid, cores] : owing_) {
    cores.erase(core);
  }
  std::erase_if(owing_, [](const auto& item) { return item.second.empty(); });
}

}  // namespace softsnp::memory
