// A guest with two vCPUs under the SVSM, and what must be true of it after each call.
#pragma once

#include <string>

#include "arch/svm/exit_code.hpp"
#include "arch/svm/vmsa.hpp"
#include "arch/svsm/calling_area.hpp"
#include "arch/svsm/page_list.hpp"
#include "tests/guest/svsm/fake_platform.hpp"

namespace softsnp::svsm::test {

class FakeReporter final : public Reporter {
 public:
  ReportAnswer report(const u8 (&data)[64], u32 room, psp::AttestationReport& out) override {
    std::memcpy(last_data, data, sizeof last_data);
    last_room = room;
    ++calls;
    out = {};
    std::memcpy(out.report_data, data, sizeof out.report_data);
    return answer;
  }
  ReportAnswer answer{ReportAnswer::Outcome::done, {}};
  u8 last_data[64]{};
  u32 last_room = 0;
  unsigned calls = 0;
};

struct World {
  static constexpr GuestPhysical startup_vmsa{0xC01000}, startup_ca{0x8000}, other_ca{0x9000},
      new_vmsa{0x201000}, second_vmsa{0x203000}, list{0x300000}, free_page{0x400000},
      large_page{0x800000};

  World() {
    state.memory.ram[0] = {GuestPhysical(0), 0xA0000};
    state.memory.ram[1] = {GuestPhysical(0x100000), memory_bytes - 0x100000};
    state.memory.stretches = 2;
    state.memory.own = own_memory;
    state.vcpus = VcpuTable(2);
    state.sev_features = 1;
    for (u64 page = 0; page < memory_pages; ++page) {
      const GuestPhysical gpa(page * page_size);
      if (!own_memory.overlaps(page_at(gpa))) {
        platform.at(gpa).permissions[2] = full_permissions;
      }
    }
    for (u64 page = 0; page < 512; ++page) {
      platform.at(large_page + page * page_size).large = true;
    }
    platform.at(startup_vmsa).vmsa = true;
    make_vmsa_image(startup_vmsa);
    state.vcpus[0].vmsa = startup_vmsa;
    state.vcpus[0].calling_area = startup_ca;
    *state.vcpus.free_record() = {startup_vmsa, 0, true};
  }

  void make_vmsa_image(GuestPhysical at, u8 vmpl = 2, u64 efer = 0x1000, u64 features = 1) {
    platform.store(at + 0x0CA, vmpl);
    platform.store(at + 0x0D0, efer);
    platform.store(at + 0x3B0, features);
  }

  // The guest's part: registers and call_pending; then VMPL0 runs.
  u64 call(u64 rax, const Registers& in, usize vcpu = 0, u8 pending = CallingArea::call) {
    const GuestPhysical vmsa = state.vcpus[vcpu].vmsa;
    const GuestPhysical area = state.vcpus[vcpu].calling_area;
    platform.store(vmsa + 0x1F8, rax);
    platform.store(vmsa + 0x308, in.rcx);
    platform.store(vmsa + 0x310, in.rdx);
    platform.store(vmsa + 0x340, in.r8);
    platform.store(vmsa + 0x348, in.r9);
    platform.store(vmsa + 0x3C0, static_cast<u64>(svm::ExitCode::vmgexit));
    platform.store(area, pending);
    platform.reads.clear();
    turn = serve({platform, state, reporter, vtpm}, vcpu);
    out = {platform.load<u64>(vmsa + 0x1F8), platform.load<u64>(vmsa + 0x308),
           platform.load<u64>(vmsa + 0x310), platform.load<u64>(vmsa + 0x340),
           platform.load<u64>(vmsa + 0x348)};
    return out.rax;
  }
  u64 call(CoreCall id, const Registers& in = {}, usize vcpu = 0) {
    return call(number(id), in, vcpu);
  }

  void put_list(GuestPhysical at, std::vector<PageEntry> entries, u16 next = 0) {
    platform.store(at, PageListHeader{static_cast<u16>(entries.size()), next, 0});
    for (usize i = 0; i < entries.size(); ++i) {
      platform.store(at + (8 + 8 * i), entries[i]);
    }
  }
  u16 list_next(GuestPhysical at) const { return platform.load<u16>(at + 2); }
  u64 pvalidate_one(PageEntry entry) {
    put_list(list, {entry});
    return call(CoreCall::pvalidate, {0, list.value()});
  }
  u64 create(GuestPhysical vmsa, GuestPhysical area, u64 apic_id) {
    return call(CoreCall::create_vcpu, {0, vmsa.value(), area.value(), apic_id});
  }

  FakePlatform platform;
  FakeReporter reporter;
  State state;
  Vtpm* vtpm = nullptr;
  Registers out;
  Turn turn = Turn::run_guest;
};

// Nothing below VMPL0 may touch the SVSM's memory or change a VMSA; nothing was left unflushed.
// Empty: it is so.
inline std::string violation(World& world) {
  std::vector<bool> vmsas(memory_pages);
  for (const VmsaRecord& record : world.state.vcpus) {
    vmsas[record.page.page_number()] = record.page != GuestPhysical(0);
  }
  for (u64 page = 0; page < memory_pages; ++page) {
    const GuestPhysical gpa(page * page_size);
    const FakePage& entry = world.platform.at(gpa);
    const bool own =
        own_memory.overlaps(page_at(gpa)) || world.state.deposits.overlaps(page_at(gpa));
    const unsigned lower = entry.permissions[1] | entry.permissions[2] | entry.permissions[3];
    const bool bad = (own && lower != 0) ||
                     (vmsas[page] && (lower & ~snp::permission::read) != 0) ||
                     entry.vmsa != vmsas[page] || (own && !entry.validated);
    if (bad) {
      return "page " + std::to_string(page);
    }
  }
  return world.platform.reduced ? "permissions were reduced without a flush" : "";
}

}  // namespace softsnp::svsm::test
