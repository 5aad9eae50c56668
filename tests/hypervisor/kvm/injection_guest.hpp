// A launched SNP guest under restricted injection, driven request by request.
#pragma once

#include "arch/ghcb/ap_creation.hpp"
#include "arch/ghcb/doorbell.hpp"
#include "arch/ghcb/response.hpp"
#include "arch/snp/features.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {

inline constexpr GuestPhysical bell_at(3 * test_mib);
inline constexpr u64 self_ipi = 0x40000;  // shorthand self

inline VmConfig config_of(u64 features, bool alternate) {
  VmConfig config;
  config.type = VmType::snp;
  config.vmsa_features = features;
  config.alternate_injection = alternate;
  return config;
}

struct InjectionGuest : SnpVm {
  using Reply = std::pair<u64, u64>;

  explicit InjectionGuest(u64 features = snp::feature::restricted_injection, bool alternate = false,
                          u32 vcpus = 1)
      : SnpVm(config_of(features, alternate), vcpus) {
    register_ghcb();
  }
  Reply ask(const ghcb::Ghcb& request) {
    page_exit(request);
    const ghcb::Ghcb answer = page();
    return {answer.sw_exitinfo1, answer.sw_exitinfo2};
  }
  Reply ask(ghcb::Event event, u64 info1 = 0, u64 info2 = 0) {
    return ask(event_page(event, info1, info2));
  }
  bool wrmsr(u32 number, u64 value) {
    ghcb::Ghcb request = event_page(ghcb::Event::msr, 1);
    request.rcx = number;
    request.rax = value & 0xFFFFFFFF;
    request.rdx = value >> 32;
    for (const unsigned f : {ghcb::field::rcx, ghcb::field::rax, ghcb::field::rdx}) {
      request.valid_bitmap.set(f);
    }
    return ask(request).first == 0;
  }
  void enable_apic() {
    EXPECT_TRUE(wrmsr(0x1B, 0xFEE00D00));
    EXPECT_TRUE(wrmsr(0x80F, 0x1FF));
  }
  void start() { start_at(bell_at); }
  void start_at(GuestPhysical page) {
    EXPECT_EQ(ask(ghcb::Event::hv_doorbell_page, 1, page.value()), Reply(0, page.value()));
    enable_apic();
  }
  u8 bell(unsigned offset) {
    u8 byte = 0;
    EXPECT_TRUE(vm->read_shared(bell_at + offset, {&byte, 1}).ok());
    return byte;
  }
  void set_bell(unsigned offset, u8 value) {
    EXPECT_TRUE(vm->write_shared(bell_at + offset, {&value, 1}).ok());
  }
  // As the guest's handler leaves it.
  void take_all() {
    set_bell(ghcb::doorbell::flags_at, 0);
    set_bell(ghcb::doorbell::vector_at, 0);
  }
  ghcb::VmplInterrupts interrupts(unsigned vmpl) {
    ghcb::VmplInterrupts value{};
    EXPECT_TRUE(vm->read_shared(bell_at + ghcb::doorbell::interrupts_at(vmpl),
                                {reinterpret_cast<u8*>(&value), sizeof value})
                    .ok());
    return value;
  }
  void set_interrupts(unsigned vmpl, const ghcb::VmplInterrupts& value) {
    EXPECT_TRUE(vm->write_shared(bell_at + ghcb::doorbell::interrupts_at(vmpl),
                                 {reinterpret_cast<const u8*>(&value), sizeof value})
                    .ok());
  }
};

inline const InjectionGuest::Reply invalid_input{2, 5}, invalid_event{2, 6};

}  // namespace softsnp::kvm
