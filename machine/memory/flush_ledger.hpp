// What the PSP must know of cores and cannot ask them: whose caches may still hold lines of an ASID
// that was taken out of use. Hardware sheet 2.4; the firmware answers WBINVD_REQUIRED until each
// core has flushed. A copyable value.
#pragma once

#include <map>
#include <set>

#include "arch/address.hpp"

namespace softsnp::memory {

class WbinvdLedger {
 public:
  // Every one of core_count cores owes a WBINVD for asid from here.
  void asid_deactivated(Asid asid, unsigned core_count);
  // The core ran WBINVD: it owes nothing for any ASID.
  void wbinvd(unsigned core);

  bool all_flushed() const { return owing_.empty(); }
  bool all_flushed(Asid asid) const { return !owing_.contains(asid); }

  friend bool operator==(const WbinvdLedger&, const WbinvdLedger&) = default;

 private:
  std::map<Asid, std::set<unsigned>> owing_;  // no empty sets
};

}  // namespace softsnp::memory
