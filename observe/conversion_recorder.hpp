// Puts a guest's page conversions together from the events of all parts. Linux 6.12:
// arch/x86/mm/pat/ set_memory.c, arch/x86/mm/mem_encrypt_amd.c, arch/x86/coco/sev/core.c (GHCB
// sheet 6.2, 6.3).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>

#include "machine/cpu/mmu/store_watch.hpp"
#include "observe/conversion.hpp"
#include "observe/guest_tables.hpp"
#include "observe/listener.hpp"
#include "observe/moment.hpp"

namespace softsnp::observe {

// What the recorder asks of the machine when an event comes.
struct GuestWindow {
  std::function<std::optional<GuestLeaf>(GuestVirtual)> leaf;
  std::function<void(SystemPhysical)> watch_stores;
};

class ConversionRecorder final : public Listener, public cpu::StoreListener {
 public:
  explicit ConversionRecorder(const Viewpoint& view) : view_(view) {}
  void set_window(GuestWindow window) { window_ = std::move(window); }

  // In the order in which they began; the last may be going on.
  const std::vector<Conversion>& conversions() const { return conversions_; }

  void tlb_flushed(cpu::TlbFlush kind, u64 linear, u64 rip) override;
  void rmp_instruction(const cpu::RmpInstructionEvent& e) override;
  void vmexit(svm::ExitCode code, u64 info1, u64 info2, u64 rip) override;
  void page_state(const kvm::PageStateEvent& e) override;
  void rmp_changed(const memory::RmpChange& e) override;
  void npf(const kvm::NpfEvent& e) override;
  using cpu::Observer::npf;
  void vmgexit(const kvm::VmgexitEvent& e) override;
  void stored(const cpu::WatchedStore& store) override;

 private:
  // A page whose mapping is looked at again after stores to its tables.
  struct Watched {
    GuestPhysical gpa;
    u64 value = 0;
    unsigned level = 0;
  };

  Conversion* open_one(bool to_private);
  Conversion& begin(bool to_private, GuestPhysical first, u64 bytes);
  void extend(Conversion& conversion, GuestPhysical first, u64 bytes);
  Conversion* open_over(GuestPhysical at);
  void add(Conversion& conversion, ConversionStep step);
  void note_exit(Conversion& conversion);
  Conversion* go_on_after(GuestPhysical first);
  void note_unseen_table_change(Conversion& conversion, const cpu::RmpInstructionEvent& e);
  ConversionStep step(StepKind kind, std::string detail, u64 first = 0, u64 bytes = 0) const;
  void watch(GuestVirtual address, GuestPhysical gpa);
  void look_again(u64 page, u64 time, u64 rip);
  void note_table_change(const Watched& page, ConversionStep step, bool encrypted);

  const Viewpoint& view_;
  GuestWindow window_;
  std::vector<Conversion> conversions_;
  bool is_open_ = false;
  bool unmapped_ = false;                // to shared: the C-bit is off, the flush comes
  u64 left_ = 0;                         // to private: bytes not validated yet
  std::vector<ConversionStep> prelude_;  // flushes and table changes since the last conversion
  std::map<u64, Watched> watched_;       // by gVA of the page
  std::map<std::pair<SystemPhysical, unsigned>, std::set<u64>> by_table_;  // frame, level -> gVAs
  std::optional<ConversionStep> exit_;                                     // the last VMGEXIT
};

}  // namespace softsnp::observe
