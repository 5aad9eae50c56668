// A machine and an honest hypervisor under the guest runtime, in this process: memory whose gPAs
// are the host's addresses, an RMP of four bits a page, the GHCB protocols. What a hostile host
// does comes in through the hooks.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "arch/ghcb/events.hpp"
#include "arch/ghcb/ghcb.hpp"
#include "arch/psp/secrets_page.hpp"
#include "arch/svsm/calling_area.hpp"
#include "guest/runtime/processor.hpp"
#include "guest/runtime/vc_handler.hpp"

namespace softsnp::guest {

// The guest asked for its end.
struct Terminated {
  ghcb::TerminationReason reason;
};

class SimulatedHost : public Processor {
 public:
  static constexpr u64 memory_bytes = u64{8} << 20;

  struct RmpPage {
    bool assigned = true;
    bool validated = true;
    bool large = false;  // part of a 2 MiB entry
    bool vmsa = false;
  };

  SimulatedHost();
  virtual ~SimulatedHost();
  SimulatedHost(const SimulatedHost&) = delete;
  SimulatedHost& operator=(const SimulatedHost&) = delete;

  // --- memory ---
  u8* memory() { return memory_; }
  GuestPhysical at(u64 offset) const {
    return GuestPhysical(reinterpret_cast<u64>(memory_) + offset);
  }
  RmpPage& rmp(GuestPhysical page);
  void set_large(GuestPhysical block, bool large);
  template <class T>
  T& object(u64 offset) {
    return *reinterpret_cast<T*>(memory_ + offset);
  }

  // Identity map of the memory in 2 MiB pages, C-bit set, as the guest's CR3 then names it. Takes
  // three pages at the offset.
  void build_page_tables(u64 offset);

  // --- what the honest host knows and does ---
  u16 lowest_version = 1, highest_version = 2;
  u64 features = 0x33;
  u64 ghcb_registered = 0;
  std::map<u64, u64> msrs;
  std::map<u64, CpuidValue> host_cpuid;  // leaf
  u64 cr3 = 0, cr4 = 0, xcr0 = 1, cr2 = 0, tsc = 1000;
  std::vector<u8> port_output;
  std::vector<u8> port_input;  // what INS and IN find
  std::map<u64, u64> devices;  // MMIO by gPA
  std::vector<std::string> log;
  unsigned tlb_flushes = 0;
  bool interrupts = true;
  // The host stops after so many entries of a page state change, or refuses one.
  unsigned entries_per_exit = 1000;
  u64 refused_page = 0;
  // Of the guest requests; a status for EXITINFO2 instead of an answer.
  std::function<u64(const u8* request, u8* response, ghcb::Ghcb& page, bool extended)> firmware;
  // The SVSM; null: none.
  std::function<void(svsm::Registers&)> svsm;
  struct Started {
    u64 info1, vmsa, features;
  };
  std::vector<Started> started;

  // --- hooks: after the honest answer ---
  std::function<u64(u64 request, u64 answer)> lie_by_msr;
  std::function<void(const ghcb::Ghcb& request, ghcb::Ghcb& answer)> lie_by_page;
  std::function<bool()> skip_svsm;  // the host does not let it run

  // --- Processor ---
  u64 read_msr(u32 number) override;
  void write_msr(u32 number, u64 value) override;
  void vmgexit() override;
  svsm::Registers vmgexit_with(const svsm::Registers& in) override;
  RmpOutcome pvalidate(GuestVirtual page, PageSize size, bool validated) override;
  u32 rmpadjust(GuestVirtual page, PageSize size, Vmpl target, u8 permissions, bool vmsa) override;
  u64 read_cr2() override { return cr2; }
  u64 read_cr3() override { return cr3; }
  u64 read_cr4() override { return cr4; }
  u64 read_xcr0() override { return xcr0; }
  void flush_tlb() override { ++tlb_flushes; }
  bool disable_interrupts() override { return std::exchange(interrupts, false); }
  void enable_interrupts() override { interrupts = true; }
  void relax() override {}
  void halt() override {}

  Vmpl vmpl = Vmpl::vmpl0;

 private:
  u64 answer_msr(u64 request);
  void answer_page(ghcb::Ghcb& page);
  void change_state(GuestPhysical page, u64 operation);
  u64 change_states(ghcb::Ghcb& page);
  void string_port(ghcb::Ghcb& page, bool in, usize bytes);
  void exit(svsm::Registers* registers);
  void assign_on_fault(GuestPhysical page, u64 count);

  void* mapping_ = nullptr;
  u8* memory_ = nullptr;
  std::vector<RmpPage> rmp_;
  u64 ghcb_msr_ = 0;
};

// One guest vCPU on it: its GHCB set up, and offsets for what tests put into memory.
class SimulatedGuest {
 public:
  static constexpr u64 ghcb_offset = 0x1000, backup_offset = 0x2000, tables_offset = 0x8000,
                       free_offset = 0x10000, large_offset = u64{4} << 20;

  explicit SimulatedGuest(SimulatedHost& host);

  SimulatedHost& host;
  GhcbClient ghcb;
};

}  // namespace softsnp::guest
