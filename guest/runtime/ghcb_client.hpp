// Requests through the GHCB page. GHCB sheet 1, 3. One client a vCPU; a second one may start within
// a request (an exception's handler), then the page is saved and restored around it.
#pragma once

#include "arch/ghcb/events.hpp"
#include "arch/ghcb/ghcb.hpp"
#include "guest/runtime/cause.hpp"
#include "guest/runtime/processor.hpp"

namespace softsnp::guest {

// SW_EXITINFO1 and 2 after an exit, unchecked.
struct Reply {
  u64 info1 = 0, info2 = 0;
};

class GhcbClient {
 public:
  // page is shared and, under SNP, registered (ghcb_setup.hpp). Without a backup page a request
  // within a request is refused.
  GhcbClient(Processor& processor, ghcb::Ghcb& page, GuestPhysical at, u16 version,
             ghcb::Ghcb* backup = nullptr);

  Processor& processor() { return processor_; }
  ghcb::Ghcb& page() { return page_; }
  GuestPhysical address() const { return at_; }
  u16 version() const { return version_; }

  // Clears the valid bitmap; then the request's fields are set; then exit() or call().
  void begin();
  void set(unsigned offset, u64 value);
  void set_cpl(u8 cpl);  // the one field of one byte
  // Fills the shared buffer and points SW_SCRATCH at it. Requires size <= shared_buffer_bytes.
  void set_buffer(const void* from, usize size);
  void use_buffer();
  void read_buffer(void* to, usize size) const;

  // One exit of the request begun: the hypervisor's words as they are.
  Reply exit(u64 code, u64 info1, u64 info2);
  // One exit; SW_EXITINFO2 if the hypervisor did what it was asked for.
  Handled<u64> call(u64 code, u64 info1, u64 info2);
  // The same with the registers of an SVSM call, which the save area carries.
  Handled<u64> call_with(svsm::Registers& registers, u64 code, u64 info1, u64 info2);
  // A register that the hypervisor must have answered with.
  Handled<u64> answer(unsigned offset) const;

 private:
  friend class GhcbUse;
  bool valid(unsigned offset) const;
  void prepare_exit(u64 code, u64 info1, u64 info2);
  Reply reply() const;
  Handled<u64> judge(const Reply& reply) const;

  Processor& processor_;
  ghcb::Ghcb& page_;
  GuestPhysical at_;
  u16 version_;
  ghcb::Ghcb* backup_;
  u8 depth_ = 0;
};

// Around one request or several of one kind. What is left in the page afterwards cannot be sent
// again by anybody who can execute VMGEXIT (user code can).
class GhcbUse {
 public:
  explicit GhcbUse(GhcbClient& client);
  ~GhcbUse();
  GhcbUse(const GhcbUse&) = delete;
  GhcbUse& operator=(const GhcbUse&) = delete;

  // False: the page is in use and its backup too. Nothing may be asked.
  bool ok() const { return ok_; }

 private:
  GhcbClient& client_;
  InterruptsOff off_;
  bool ok_;
};

}  // namespace softsnp::guest
