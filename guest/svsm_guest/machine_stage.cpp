#include "guest/svsm_guest/machine_stage.hpp"

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/svsm/result_code.hpp"
#include "arch/x86/msr.hpp"
#include "guest/svsm_conformance/expect.hpp"
#include "guest/vmpl0/guarded.hpp"

namespace softsnp::guest {
namespace {

// The first page is left out: a VMSA must not lie at a 2 MiB boundary.
struct Pages {
  alignas(page_size) u8 pages[conformance::place_count + 1][page_size];
};
Pages pages;

// RAM that neither the loader nor this guest uses, each launched as one large page.
constexpr GuestPhysical large_block(0x1000000), small_block(0x1200000);

void* pointer(GuestPhysical at) {
  return reinterpret_cast<void*>(at.value());
}

}  // namespace

MachineStage::MachineStage(SmallGuest& guest) : guest_(guest), area_(&guest.svsm().area()) {
  const SvsmLocation svsm = guest.must(find_svsm(*guest.must(guest.boot().secrets())));
  facts_ = {svsm.base,   svsm.bytes,  svsm.calling_area,
            large_block, small_block, (svsm.base + svsm.bytes).value()};
  split_small_block();
  facts_.second_vcpu = finds_second_vcpu();
}

bool MachineStage::finds_second_vcpu() {
  const GuestPhysical vmsa = at(conformance::Place::vmsa);
  conformance::put_vmsa(*this, vmsa);
  const bool found = guest_.svsm().create_vcpu(vmsa, at(conformance::Place::area), 1).ok();
  return found && guest_.svsm().delete_vcpu(vmsa).ok();
}

// One page there and back: the host has to split the block.
void MachineStage::split_small_block() {
  ghcb::PageStateEntry entry[] = {ghcb::PageStateEntry::make(
      small_block, ghcb::PageOperation::make_private, PageSize::size_4k)};
  if (!guest_.validation().set(entry, false).ok() || !guest_.validation().set(entry, true).ok()) {
    guest_.end(Cause::pvalidate_failed);
  }
}

GuestPhysical MachineStage::at(conformance::Place place) const {
  return GuestPhysical(reinterpret_cast<u64>(pages.pages[1 + static_cast<unsigned>(place)]));
}

void MachineStage::write(GuestPhysical to, const void* from, usize bytes) {
  __builtin_memcpy(pointer(to), from, bytes);
}
void MachineStage::read(GuestPhysical from, void* to, usize bytes) {
  __builtin_memcpy(to, pointer(from), bytes);
}
bool MachineStage::is_validated(GuestPhysical page) {
  u64 value;
  return svsm::guarded_copy(&value, pointer(page), sizeof value);
}

// By hand and not by SvsmClient, which makes no calls that are wrong.
svsm::Registers MachineStage::call(const svsm::Registers& in, u8 pending) {
  constexpr u64 run_vmpl0 = encode(ghcb::RunVmplRequest{0});
  svsm::CallingArea* const before = area_;
  const u64 msr = guest_.processor().read_msr(x86::msr::ghcb);
  guest_.processor().write_msr(x86::msr::ghcb, run_vmpl0);
  __atomic_store_n(&before->call_pending, pending, __ATOMIC_SEQ_CST);
  const svsm::Registers out = guest_.processor().vmgexit_with(in);
  answered_pending_ = __atomic_exchange_n(&before->call_pending, u8{0}, __ATOMIC_SEQ_CST);
  guest_.processor().write_msr(x86::msr::ghcb, msr);
  const bool remapped =
      in.rax == number(svsm::CoreCall::remap_ca) && out.rax == number(svsm::ResultCode::success);
  if (remapped) {
    area_ = static_cast<svsm::CallingArea*>(pointer(GuestPhysical(in.rcx)));
  }
  return out;
}

void MachineStage::judge(const char* name, bool good, u64 got, u64 expected) {
  ++judged_;
  if (good) {
    return;
  }
  ++failed_;
  print("FAILED ", name, ": got ", Hex{got}, ", expected ", Hex{expected}, "\n");
}

}  // namespace softsnp::guest
