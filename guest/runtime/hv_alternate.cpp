#include "guest/runtime/hv_alternate.hpp"

#include "arch/svm/vmcb.hpp"
#include "arch/x86/registers.hpp"
#include "base/bits.hpp"

namespace softsnp::guest {
namespace {

namespace ctrl = svm::vintr_ctrl;
namespace event = svm::event;
namespace status = ghcb::vmpl_status;

constexpr u64 queue_bits = ctrl::v_irq | ctrl::prio | ctrl::ign_tpr | ctrl::vector;

bool takes_now(const svm::Vmsa& vmsa, u8 vector) {
  const bool on = (vmsa.rflags & x86::rflags::if_) != 0;
  const bool shadow = (vmsa.vintr_ctrl & ctrl::int_shadow) != 0;
  return on && !shadow && (vector >> 4) > (vmsa.vintr_ctrl & 0xF);
}

}  // namespace

u8 VectorSet::highest() const {
  for (unsigned i = 8; i-- > 0;) {
    if (words_[i] != 0) {
      return static_cast<u8>(i * 32 + 31 - static_cast<unsigned>(__builtin_clz(words_[i])));
    }
  }
  return 0;
}

// multiple_vectors is cleared before the IRR is looked at: what comes later says so again.
VmplTaken take_vmpl_interrupts(ghcb::DoorbellPage& page, unsigned vmpl) {
  VmplTaken taken;
  const u8 mine = static_cast<u8>(1u << (vmpl - 1));
  if ((__atomic_fetch_and(&page.vmpl_events, static_cast<u8>(~mine), __ATOMIC_SEQ_CST) & mine) ==
      0) {
    return taken;
  }
  ghcb::VmplInterrupts& from = page.vmpl[vmpl - 1];
  constexpr u32 mine_to_clear = status::vector | status::level_sensitive |
                                status::multiple_vectors | status::nmi | status::vector_31;
  const u32 was = __atomic_fetch_and(&from.status, ~mine_to_clear, __ATOMIC_SEQ_CST);
  const u8 vector = static_cast<u8>(was & status::vector);
  const bool multiple = (was & status::multiple_vectors) != 0;
  taken.nmi = (was & status::nmi) != 0;
  if ((was & status::level_sensitive) != 0) {
    taken.level = vector;
  } else if (vector >= 31) {
    taken.edges.add(vector);
  }
  if ((was & status::vector_31) != 0) {
    taken.edges.add(31);
  }
  for (unsigned i = 1; multiple && i < 8; ++i) {
    taken.edges.add_word(i, __atomic_exchange_n(&from.irr[i - 1], 0u, __ATOMIC_SEQ_CST));
  }
  return taken;
}

void AlternateApic::recall(svm::Vmsa& vmsa) {
  const bool injected = (vmsa.eventinj & event::valid) != 0;
  const bool queued = (vmsa.vintr_ctrl & ctrl::v_irq) != 0;
  if (presented_ != 0 && (injected || queued)) {
    requests_.add(presented_);
    in_service_.remove(presented_);
  }
  nmi_ = nmi_ || (nmi_presented_ && injected);
  presented_ = 0;
  nmi_presented_ = false;
  vmsa.eventinj = 0;
  vmsa.vintr_ctrl &= ~queue_bits;
}

void AlternateApic::present(svm::Vmsa& vmsa) {
  recall(vmsa);
  if ((vmsa.vintr_ctrl & ctrl::busy) != 0) {
    vmsa.eventinj = vmsa.guest_exitintinfo;
    vmsa.vintr_ctrl &= ~ctrl::busy;
    return;
  }
  if (nmi_) {
    nmi_ = false;
    nmi_presented_ = true;
    vmsa.eventinj = event::make(2, event::Type::nmi);
    return;
  }
  const u8 vector = requests_.highest();
  if ((vector >> 4) <= (in_service_.highest() >> 4)) {
    return;
  }
  if (takes_now(vmsa, vector)) {
    vmsa.eventinj = event::make(vector, event::Type::interrupt);
  } else {
    vmsa.vintr_ctrl |= ctrl::v_irq | static_cast<u64>(vector >> 4) << 16 | u64{vector} << 32;
  }
  requests_.remove(vector);
  in_service_.add(vector);
  presented_ = vector;
}

u8 AlternateApic::end_of_interrupt() {
  const u8 vector = in_service_.highest();
  in_service_.remove(vector);
  return vector;
}

}  // namespace softsnp::guest
