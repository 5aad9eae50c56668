#include "machine/psp/asid_table.hpp"

#include <algorithm>

namespace softsnp::psp {

bool AsidTable::release(Asid asid) {
  AsidState& state = states_[number(asid)];
  const bool was_running = state == AsidState::in_use;
  state = was_running ? AsidState::dirty : AsidState::clean;
  return was_running;
}

void AsidTable::flush() {
  std::replace(states_.begin(), states_.end(), AsidState::dirty, AsidState::clean);
}

bool AsidTable::all_clean() const {
  return std::all_of(states_.begin(), states_.end(),
                     [](AsidState state) { return state == AsidState::clean; });
}

}  // namespace softsnp::psp
