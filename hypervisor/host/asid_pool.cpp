#include "hypervisor/host/asid_pool.hpp"

#include <cerrno>

namespace softsnp::host {

AsidPool::AsidPool(machine::HostPort& port, Platform& platform) : platform_(platform) {
  const machine::CpuidResult sev = port.cpuid(0x8000001F, 0);
  highest_sev_ = sev.ecx;
  states_.resize(sev.edx > 1 ? sev.edx : 1, State::clean);
}

Result<Asid, Error> AsidPool::allocate() {
  for (int attempt = 0; attempt < 2; ++attempt) {
    bool any_dirty = false;
    for (u32 asid = 1; asid < states_.size(); ++asid) {
      if (states_[asid] == State::clean) {
        states_[asid] = State::used;
        return static_cast<Asid>(asid);
      }
      any_dirty = any_dirty || states_[asid] == State::dirty;
    }
    if (!any_dirty) {
      break;
    }
    if (auto flushed = platform_.flush_asids(); !flushed) {
      return Failure{flushed.error()};
    }
    for (State& state : states_) {
      state = state == State::dirty ? State::clean : state;
    }
  }
  return Failure{Error{EBUSY, 0, "all ASIDs for SNP guests are taken"}};
}

void AsidPool::release(Asid asid) {
  states_[number(asid)] = State::dirty;
}

}  // namespace softsnp::host
