// What memory tells an observer. Observers look, never steer.
#pragma once

#include "arch/snp/rmp.hpp"
#include "machine/memory/rmp/access.hpp"

namespace softsnp::memory {

enum class RmpAgent : u8 { rmpupdate, psmash, pvalidate, rmpadjust, firmware };
const char* name(RmpAgent agent);

// Who changed an RMP entry. rip: guest RIP for PVALIDATE/RMPADJUST, else 0.
struct RmpCause {
  RmpAgent agent = RmpAgent::rmpupdate;
  Asker asker;
  u64 rip = 0;
  u32 firmware_command = 0;  // agent firmware: mailbox command id
};

struct RmpChange {
  SystemPhysical page;
  snp::RmpEntry before;  // of page itself
  snp::RmpEntry after;
  RmpCause cause;
  PageSize extent = PageSize::size_4k;  // size_2m: the 512 pages from page on changed with it
  u64 sequence = 0;                     // Rmp::generation() after the change

  bool concerns(SystemPhysical at) const { return at.value() - page.value() < bytes(extent); }
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void rmp_changed(const RmpChange&) {}
  virtual void form_converted(SystemPhysical) {}
};

}  // namespace softsnp::memory
