// ASIDs as the firmware tracks them. Firmware sheet 1.4 ("ASID"): an ASID that a running guest
// gave up is dirty until all caches are written back and the data fabric is flushed. All core
// complexes share one table here: ACTIVATE_EX on some of them counts for all.
#pragma once

#include <array>

#include "arch/address.hpp"
#include "arch/snp/rmp.hpp"

namespace softsnp::psp {

enum class AsidState : u8 { clean, allocated, in_use, dirty };

class AsidTable {
 public:
  // Requires asid <= snp::max_asid.
  AsidState state(Asid asid) const { return states_[number(asid)]; }
  bool bound(Asid asid) const {
    return state(asid) == AsidState::allocated || state(asid) == AsidState::in_use;
  }
  void bind(Asid asid, bool running) {
    states_[number(asid)] = running ? AsidState::in_use : AsidState::allocated;
  }
  void start_running(Asid asid) { states_[number(asid)] = AsidState::in_use; }
  // True if the ASID became dirty: caches may hold lines of its guest.
  bool release(Asid asid);
  // SNP_INIT: nothing is known about the caches.
  void set_all_dirty() { states_.fill(AsidState::dirty); }
  // Dirty ASIDs become clean.
  void flush();
  bool all_clean() const;
  friend bool operator==(const AsidTable&, const AsidTable&) = default;

 private:
  std::array<AsidState, snp::max_asid + 1> states_{};
};

}  // namespace softsnp::psp
