// A host port for tests of the hypervisor: memory is a map of pages, the RMP a map of entries with
// the rules the hypervisor depends on, the AMD-SP says what it is told, and VMRUN is a script.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arch/psp/command.hpp"
#include "arch/psp/guest_buffers.hpp"
#include "arch/psp/sev_buffers.hpp"
#include "arch/psp/status.hpp"
#include "arch/svm/exit_code.hpp"
#include "arch/svm/vmcb.hpp"
#include "arch/x86/msr.hpp"
#include "base/bytes.hpp"
#include "machine/port/host_port.hpp"

namespace softsnp::test {

class FakePort final : public machine::HostPort {
 public:
  using Step = std::function<void(svm::Vmcb&)>;
  struct PspCall {
    psp::Command command;
    std::vector<u8> buffer;
  };

  explicit FakePort(u64 dram) : dram_(dram) {}

  u64 dram_bytes() const override { return dram_; }
  unsigned core_count() const override { return 2; }
  machine::CpuidResult cpuid(u32 leaf, u32) const override {
    switch (leaf) {
      case 0:
        return {0xD, 0x68747541, 0x444D4163, 0x69746E65};
      case 1:
        return {0x00A10F11, 0x00000800, 0x7EFA320B, 0x178BFBFF};
      case 0x80000000:
        return {0x80000021, 0, 0, 0};
      case 0x80000008:
        return {0x3034 - 4, 0, 0, 0};  // 48 bits
      case 0x8000001F:
        return {0x41F, 51, 1006, 100};
      default:
        return {};
    }
  }

  Result<void, machine::HostFault> load(SystemPhysical at, std::span<u8> to) override {
    if (at.value() + to.size() > dram_) {
      return Failure{machine::HostFault{0, at}};
    }
    for (usize i = 0; i < to.size(); ++i) {
      const auto page = pages_.find((at.value() + i) >> 12);
      to[i] = page == pages_.end() ? u8{0} : page->second[(at.value() + i) & 0xFFF];
    }
    return {};
  }
  Result<void, machine::HostFault> store(SystemPhysical at, std::span<const u8> from,
                                         PageSize mapping_size) override {
    if (at.value() + from.size() > dram_) {
      return Failure{machine::HostFault{0, at}};
    }
    for (usize i = 0; i < from.size(); i += 4096) {
      if (!host_owned(at + i, mapping_size)) {
        ++host_faults;
        return Failure{machine::HostFault{0x80000003, at}};
      }
    }
    for (usize i = 0; i < from.size(); ++i) {
      auto& page = pages_[(at.value() + i) >> 12];
      page.resize(4096);
      page[(at.value() + i) & 0xFFF] = from[i];
    }
    return {};
  }
  Result<void, machine::HostFault> clear_page(SystemPhysical page, PageSize mapping_size,
                                              PageSize extent) override {
    const SystemPhysical end = page + bytes(extent);
    for (SystemPhysical at = page; at < end; at = at + page_size) {
      if (!host_owned(at, mapping_size)) {
        ++host_faults;
        return Failure{machine::HostFault{0x80000003, at}};
      }
    }
    for (SystemPhysical at = page; at < end; at = at + page_size) {
      pages_.erase(at.page_number());
    }
    return {};
  }

  Result<snp::RmpResult, machine::HostException> rmpupdate(SystemPhysical page,
                                                           const snp::RmpUpdate& value) override {
    ++rmpupdates;
    if (fail_rmpupdate_in >= 0 && fail_rmpupdate_in-- == 0) {
      return snp::RmpResult::fail_permission;
    }
    const u64 first = page.page_number();
    const u64 count = value.page_size != 0 ? 512 : 1;
    if (first % count != 0) {
      return snp::RmpResult::fail_input;
    }
    const snp::RmpUpdate old = entry(page);
    if (old.immutable != 0) {
      return snp::RmpResult::fail_permission;
    }
    const snp::RmpUpdate base = entry(page.large_page());
    if (count == 1 && base.assigned != 0 && base.page_size != 0) {
      return snp::RmpResult::fail_overlap;
    }
    if (count == 512 && old.page_size == 0) {
      for (u64 i = 0; i < 512; ++i) {
        if (entry(page + i * 4096).assigned != 0) {
          return snp::RmpResult::fail_overlap;
        }
      }
    }
    for (u64 i = 0; i < count; ++i) {
      if (value.assigned == 0) {
        rmp.erase(first + i);
      } else if (i == 0) {
        rmp[first] = value;
      } else {
        rmp[first + i] = snp::RmpUpdate{0, 1, 0, 0, 0, 0};
      }
    }
    return snp::RmpResult::success;
  }
  Result<snp::RmpResult, machine::HostException> psmash(SystemPhysical page) override {
    const snp::RmpUpdate base = entry(page);
    if (base.assigned == 0 || base.page_size == 0) {
      return snp::RmpResult::fail_not_eligible;
    }
    ++psmashes;
    for (u64 i = 0; i < 512; ++i) {
      rmp[page.page_number() + i] =
          snp::RmpUpdate{base.gpa + i * 4096, 1, 0, base.immutable, 0, base.asid};
    }
    return snp::RmpResult::success;
  }
  Result<snp::RmpResult, machine::HostException> rmpread(SystemPhysical page,
                                                         snp::RmpUpdate& out) override {
    out = entry(page);
    return snp::RmpResult::success;
  }

  Result<u64, machine::HostException> rdmsr(unsigned core, u32 msr) override {
    return msrs[{core, msr}];
  }
  Result<void, machine::HostException> wrmsr(unsigned core, u32 msr, u64 value) override {
    msrs[{core, msr}] = value;
    log.push_back("wrmsr");
    return {};
  }
  void wbinvd(unsigned) override { log.push_back("wbinvd"); }

  // Runs the next step of the script; when there is none, the guest halts for ever.
  Result<void, machine::HostException> vmrun(unsigned, SystemPhysical vmcb_page,
                                             u64 max_instructions) override {
    svm::Vmcb vmcb;
    (void)load(vmcb_page, vmcb.raw).ok();
    ++vmruns;
    last_quantum = max_instructions;
    vmcb.exitintinfo = 0;
    if (script.empty()) {
      vmcb.exitcode = number(svm::ExitCode::hlt);
      vmcb.nrip = vmcb.rip + 1;
    } else {
      const Step step = script.front();
      script.pop_front();
      step(vmcb);
    }
    tsc_ += 100;
    (void)store(vmcb_page, vmcb.raw, PageSize::size_4k).ok();
    return {};
  }
  Result<void, machine::HostException> vmload(unsigned, SystemPhysical) override { return {}; }
  Result<void, machine::HostException> vmsave(unsigned, SystemPhysical) override { return {}; }
  void write_registers(unsigned, const machine::CoreRegisters& from) override { registers = from; }
  void read_registers(unsigned, machine::CoreRegisters& to) override { to = registers; }

  u16 psp_command(u32 id, SystemPhysical buffer) override {
    const auto command = static_cast<psp::Command>(id);
    std::vector<u8> bytes(64);
    (void)load(buffer, bytes).ok();
    psp_calls.push_back({command, bytes});
    log.push_back(psp::name(command));
    if (during_psp) {
      during_psp(psp_calls.back());
    }
    if (const auto forced = psp_status.find(command); forced != psp_status.end()) {
      return psp::number(forced->second);
    }
    const auto target = sev_target(command, bytes);
    if (target && snp_live() && entry(*target).immutable == 0) {
      return psp::number(psp::Status::invalid_page_state);
    }
    if (command == psp::Command::launch_start) {
      // The firmware writes its page and lets go of it.
      auto& page = pages_[buffer.page_number()];
      page.resize(4096);
      page[0] = 1;  // the handle
      rmp[buffer.page_number()].immutable = 0;
    } else if (command == psp::Command::snp_launch_update) {
      rmp[load_le<psp::SnpLaunchUpdate>(bytes.data()).page_paddr >> 12].immutable = 0;
    } else if (command == psp::Command::snp_page_reclaim) {
      rmp[load_le<psp::SnpPageReclaim>(bytes.data()).page_paddr >> 12].immutable = 0;
    } else {
      move_pages(command, bytes);
    }
    return 0;
  }

  // The effects of SNP_PAGE_MOVE, SWAP_OUT and SWAP_IN on pages and their states; there are no keys
  // here, so bytes stay as they are.
  void move_pages(psp::Command command, const std::vector<u8>& bytes) {
    if (command == psp::Command::snp_page_move) {
      const auto move = load_le<psp::SnpPageMove>(bytes.data());
      for (u64 at = 0; at < (move.flags != 0 ? large_page_size : page_size); at += page_size) {
        copy_page(SystemPhysical(move.src_paddr + at), SystemPhysical(move.dst_paddr + at));
      }
      rmp[move.src_paddr >> 12].immutable = 0;
      rmp[move.dst_paddr >> 12].immutable = 0;
    } else if (command == psp::Command::snp_page_swap_out ||
               command == psp::Command::snp_page_swap_in) {
      const auto swap = load_le<psp::SnpPageSwap>(bytes.data());
      copy_page(SystemPhysical(swap.src_paddr), SystemPhysical(swap.dst_paddr));
    }
  }
  void copy_page(SystemPhysical from, SystemPhysical to) {
    const auto page = pages_.find(from.page_number());
    if (page == pages_.end()) {
      pages_.erase(to.page_number());
    } else {
      pages_[to.page_number()] = page->second;
    }
  }

  bool snp_live() const { return count(psp::Command::snp_init_ex) != 0; }
  // The page that a legacy command writes: it must be the firmware's.
  static std::optional<SystemPhysical> sev_target(psp::Command command,
                                                  const std::vector<u8>& bytes) {
    switch (command) {
      case psp::Command::launch_update_data:
      case psp::Command::launch_update_vmsa:
      case psp::Command::launch_measure:
        return SystemPhysical(load_le<psp::SevLaunchUpdate>(bytes.data()).paddr).page();
      case psp::Command::launch_secret:
        return SystemPhysical(load_le<psp::SevPacket>(bytes.data()).guest_paddr).page();
      case psp::Command::dbg_decrypt:
      case psp::Command::dbg_encrypt:
        return SystemPhysical(load_le<psp::SevDebug>(bytes.data()).dst_paddr).page();
      default:
        return std::nullopt;
    }
  }

  bool dma_read(u16, SystemPhysical, std::span<u8>) override { return false; }
  bool dma_write(u16, SystemPhysical, std::span<const u8>) override { return false; }
  std::vector<machine::DmaFault> dma_faults() const override { return {}; }

  u64 tsc() const override { return tsc_; }
  u64 tsc_frequency_hz() const override { return 1000000000; }
  void idle_until(u64 to) override { tsc_ = std::max(tsc_, to); }

  snp::RmpUpdate entry(SystemPhysical page) const {
    const auto found = rmp.find(page.page_number());
    return found == rmp.end() ? snp::RmpUpdate{} : found->second;
  }
  // A store to the page through a mapping of that size passes the RMP.
  bool host_owned(SystemPhysical at, PageSize mapping_size) const {
    if (mapping_size == PageSize::size_4k) {
      return entry(at).assigned == 0;
    }
    const auto first = rmp.lower_bound(at.large_page().page_number());
    return first == rmp.end() || first->first >= at.large_page().page_number() + 512;
  }
  usize touched_pages() const { return pages_.size(); }
  usize count(psp::Command command) const {
    usize n = 0;
    for (const PspCall& call : psp_calls) {
      n += call.command == command ? 1 : 0;
    }
    return n;
  }

  std::map<u64, snp::RmpUpdate> rmp;  // by page number
  std::map<std::pair<unsigned, u32>, u64> msrs;
  std::map<psp::Command, psp::Status> psp_status;
  std::vector<PspCall> psp_calls;
  std::function<void(const PspCall&)> during_psp;
  std::vector<std::string> log;
  std::deque<Step> script;
  machine::CoreRegisters registers;
  u64 rmpupdates = 0, psmashes = 0, vmruns = 0, host_faults = 0, last_quantum = 0;
  u64 tsc_ = 1000;
  int fail_rmpupdate_in = -1;  // that many succeed, one fails

 private:
  u64 dram_;
  std::map<u64, std::vector<u8>> pages_;
};

}  // namespace softsnp::test
