// What the secure processor tells an observer. Observers look, never steer.
#pragma once

#include <optional>

#include "arch/psp/command.hpp"
#include "arch/psp/page_info.hpp"
#include "arch/psp/status.hpp"
#include "arch/snp/rmp.hpp"

namespace softsnp::psp {

// A page that a command named, as it was when the command looked at it.
struct PageView {
  SystemPhysical at;
  PageSize size = PageSize::size_4k;  // in the RMP
  snp::RmpEntry entry;                // of the page or the 2M page around it
  const char* state = "";
};

struct CommandEvent {
  u32 id = 0;
  const char* name = "";
  Status status = Status::success;
  SystemPhysical buffer;
  std::optional<SystemPhysical> context;  // the guest's context page
  std::optional<u32> handle;              // the legacy guest's
  Asid asid = Asid::host;                 // the guest's, if activated
  std::optional<PageView> page;           // the page at fault, else the first operand
  // The check that failed, or what the command did; a string literal.
  const char* detail = "";
};

struct LaunchFinished {
  SystemPhysical context;
  Asid asid = Asid::host;
  u64 policy = 0;
  Digest launch_digest;
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void command_done(const CommandEvent&) {}
  virtual void launch_finished(const LaunchFinished&) {}
};

}  // namespace softsnp::psp
