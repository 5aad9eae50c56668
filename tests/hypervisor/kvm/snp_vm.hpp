// A launched SNP VM on the fake port, with one shared page as its GHCB.
#pragma once

#include <gtest/gtest.h>

#include "arch/ghcb/events.hpp"
#include "arch/ghcb/ghcb.hpp"
#include "arch/ghcb/msr_protocol.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "tests/hypervisor/fake_port.hpp"

namespace softsnp::kvm {

inline constexpr u64 test_mib = u64{1} << 20;
inline constexpr GuestPhysical ghcb_at(2 * test_mib);
inline constexpr u64 far_deadline = ~u64{0} >> 1;

// KVM_SEV_INIT2 with VMSA features.
inline VmConfig snp_config(u64 vmsa_features) {
  VmConfig config;
  config.type = VmType::snp;
  config.vmsa_features = vmsa_features;
  return config;
}

struct SnpVm {
  explicit SnpVm(Observer* observer = nullptr, u32 guest_requests_per_second = 0, u32 vcpus = 1)
      : SnpVm(VmConfig{VmType::snp, observer, guest_requests_per_second}, vcpus) {}
  explicit SnpVm(const VmConfig& config, u32 vcpus = 1) : port(64 * test_mib), kvm(make_kvm(port)) {
    auto made = kvm->create_vm(config);
    EXPECT_TRUE(made.ok());
    vm = std::move(made.value());
    EXPECT_TRUE(vm->set_memory_region(0, GuestPhysical(0), 8 * test_mib).ok());
    EXPECT_TRUE(vm->set_private(GuestPhysical(0), 2 * test_mib, true).ok());
    svm::Vmsa state{};
    state.cr0 = 0x80000011;
    for (u32 i = 0; i < vcpus; ++i) {
      Vcpu* one = vm->create_vcpu(i).value();
      one->set_cpuid(kvm->supported_cpuid(VmType::snp));
      EXPECT_TRUE(one->set_state(state).ok());
      all.push_back(one);
    }
    vcpu = all[0];
    EXPECT_TRUE(vm->launch_start({}).ok());
    LaunchUpdate zero;
    zero.length = 2 * test_mib;
    zero.type = LaunchPageType::zero;
    EXPECT_TRUE(vm->launch_update(zero).ok());
    EXPECT_TRUE(vm->launch_finish({}).ok());
  }

  // The guest's next exit is a VMGEXIT with that MSR value; the answer lands in msr.
  KvmExit msr_exit(u64 value) {
    port.script.push_back([value](svm::Vmcb& vmcb) {
      vmcb.ghcb = value;
      vmcb.exitcode = number(svm::ExitCode::vmgexit);
    });
    return finish();
  }
  KvmExit finish() {
    port.script.push_back([this](svm::Vmcb& vmcb) {
      msr = vmcb.ghcb;
      injected = vmcb.eventinj;
      vmcb.exitcode = number(svm::ExitCode::shutdown);
    });
    return vcpu->run(far_deadline);
  }
  void register_ghcb() {
    EXPECT_TRUE(std::holds_alternative<ShutdownExit>(
        msr_exit(ghcb::encode(ghcb::RegisterGhcbRequest{ghcb_at}))));
    EXPECT_EQ(msr, ghcb::register_ghcb_response(ghcb_at));
  }
  // A page-protocol exit with what page holds.
  KvmExit page_exit(const ghcb::Ghcb& page) {
    EXPECT_TRUE(vm->write_shared(ghcb_at, page.raw).ok());
    port.script.push_back([](svm::Vmcb& vmcb) {
      vmcb.ghcb = ghcb_at.value();
      vmcb.exitcode = number(svm::ExitCode::vmgexit);
    });
    return finish();
  }
  ghcb::Ghcb page() {
    ghcb::Ghcb copy{};
    EXPECT_TRUE(vm->read_shared(ghcb_at, copy.raw).ok());
    return copy;
  }
  void expect_answer(u64 info1, u64 info2) {
    const ghcb::Ghcb answer = page();
    EXPECT_EQ(answer.sw_exitinfo1, info1);
    EXPECT_EQ(answer.sw_exitinfo2, info2);
    for (const unsigned f : {ghcb::field::rax, ghcb::field::rbx, ghcb::field::rcx, ghcb::field::rdx,
                             ghcb::field::sw_exitinfo1, ghcb::field::sw_exitinfo2}) {
      EXPECT_TRUE(answer.valid_bitmap.has(f));
    }
    EXPECT_FALSE(answer.valid_bitmap.has(ghcb::field::sw_exitcode));
    EXPECT_FALSE(answer.valid_bitmap.has(ghcb::field::sw_scratch));
  }

  test::FakePort port;
  std::unique_ptr<Kvm> kvm;
  std::unique_ptr<Vm> vm;
  std::vector<Vcpu*> all;
  Vcpu* vcpu = nullptr;
  u64 msr = 0;
  u64 injected = 0;
};

inline ghcb::Ghcb event_page(ghcb::Event event, u64 info1 = 0, u64 info2 = 0) {
  ghcb::Ghcb page{};
  page.sw_exitcode = static_cast<u64>(event);
  page.sw_exitinfo1 = info1;
  page.sw_exitinfo2 = info2;
  for (const unsigned f :
       {ghcb::field::sw_exitcode, ghcb::field::sw_exitinfo1, ghcb::field::sw_exitinfo2}) {
    page.valid_bitmap.set(f);
  }
  return page;
}

}  // namespace softsnp::kvm
