// A plain VM on the fake port, whose guest is a script of exits.
#pragma once

#include <gtest/gtest.h>

#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "tests/hypervisor/fake_port.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {

struct PlainVm {
  PlainVm() : port(64 * test_mib), kvm(make_kvm(port)) {
    vm = std::move(kvm->create_vm({}).value());
    EXPECT_TRUE(vm->set_memory_region(0, GuestPhysical(0), 8 * test_mib).ok());
    vcpu = vm->create_vcpu(0).value();
    vcpu->set_cpuid(kvm->supported_cpuid(VmType::plain));
    svm::Vmsa state{};
    state.cr0 = 0x11;
    state.rflags = 2;
    state.rip = 0x1000;
    state.rsi = 0xABCD;
    state.cs.attributes = 0xC9B;
    state.x87_fcw = 0x37F;
    state.mxcsr = 0x1F80;
    EXPECT_TRUE(vcpu->set_state(state).ok());
  }
  void step(test::FakePort::Step s) { port.script.push_back(std::move(s)); }
  void exit_with(svm::ExitCode code, u64 info1 = 0, u64 info2 = 0) {
    step([=](svm::Vmcb& v) {
      v.exitcode = number(code);
      v.exitinfo1 = info1;
      v.exitinfo2 = info2;
      v.nrip = v.rip + 2;
    });
  }
  // Ends the run and keeps what the guest would have been given.
  void stop() {
    step([this](svm::Vmcb& v) {
      last = v;
      v.exitcode = number(svm::ExitCode::shutdown);
    });
  }
  KvmExit run(u64 deadline = far_deadline) { return vcpu->run(deadline); }

  test::FakePort port;
  std::unique_ptr<Kvm> kvm;
  std::unique_ptr<Vm> vm;
  Vcpu* vcpu = nullptr;
  svm::Vmcb last{};
};

}  // namespace softsnp::kvm
