#include "hypervisor/host/asid_pool.hpp"

#include <algorithm>
#include <cerrno>

namespace softsnp::host {

AsidPool::AsidPool(machine::HostPort& port, Platform& platform) : platform_(platform) {
  const machine::CpuidResult sev = port.cpuid(0x8000001F, 0);
  highest_sev_ = sev.ecx;
  first_sev_only_ = std::max(sev.edx, 1u);
  states_.resize(std::max(highest_sev_ + 1, first_sev_only_), State::clean);
}

Result<Asid, Error> AsidPool::allocate(AsidKind kind) {
  const u32 first = kind == AsidKind::sev_only ? first_sev_only_ : 1;
  const u32 end = kind == AsidKind::sev_only ? highest_sev_ + 1 : first_sev_only_;
  for (int attempt = 0; attempt < 2; ++attempt) {
    bool any_dirty = false;
    for (u32 asid = first; asid < end; ++asid) {
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
  return Failure{Error{EBUSY, 0, "all ASIDs for such guests are taken"}};
}

void AsidPool::release(Asid asid) {
  states_[number(asid)] = State::dirty;
}

}  // namespace softsnp::host
