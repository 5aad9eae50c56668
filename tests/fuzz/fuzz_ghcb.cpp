// Any guest at the hypervisor's door: a real machine whose VMRUN does not run a guest but makes the
// exits that the input asks for, of whichever of three vCPUs has its turn. Registered and
// unregistered GHCBs, both protocols, nested faults, arbitrary exit codes; a VMM that answers in
// any way.
#include <cerrno>
#include <iterator>
#include <memory>
#include <optional>

#include "arch/ghcb/ap_creation.hpp"
#include "arch/ghcb/events.hpp"
#include "arch/ghcb/ghcb.hpp"
#include "arch/ghcb/msr_protocol.hpp"
#include "arch/snp/features.hpp"
#include "arch/svm/exit_code.hpp"
#include "arch/svm/vmcb.hpp"
#include "hypervisor/kvm/events.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "machine/machine.hpp"
#include "machine/port/wrapped_port.hpp"
#include "tests/fuzz/fuzz_bytes.hpp"

namespace {

using namespace softsnp;
namespace field = ghcb::field;

constexpr u64 guest_memory = u64{8} << 20;
constexpr GuestPhysical ghcb_page(0x10000);
constexpr u32 vcpus = 3;
// Registers of the local APIC by MSR, and its base.
constexpr u32 apic_msrs[] = {0x1B, 0x808, 0x80B, 0x80F, 0x830, 0x832, 0x838, 0x83F};

void require(bool condition) {
  if (!condition) {
    __builtin_trap();
  }
}

constexpr ghcb::Event events[] = {
    ghcb::Event::dr7_read,
    ghcb::Event::dr7_write,
    ghcb::Event::rdtsc,
    ghcb::Event::rdpmc,
    ghcb::Event::cpuid,
    ghcb::Event::invd,
    ghcb::Event::ioio,
    ghcb::Event::msr,
    ghcb::Event::vmmcall,
    ghcb::Event::rdtscp,
    ghcb::Event::wbinvd,
    ghcb::Event::monitor,
    ghcb::Event::mwait,
    ghcb::Event::mmio_read,
    ghcb::Event::mmio_write,
    ghcb::Event::nmi_complete,
    ghcb::Event::ap_reset_hold,
    ghcb::Event::ap_jump_table,
    ghcb::Event::guest_request,
    ghcb::Event::extended_guest_request,
    ghcb::Event::ap_creation,
    ghcb::Event::apic_id_list,
    ghcb::Event::page_state_change,
    ghcb::Event::features,
    ghcb::Event::termination,
    ghcb::Event::unsupported,
    ghcb::Event::run_vmpl,
    ghcb::Event::hv_doorbell_page,
    ghcb::Event::hv_ipi,
    ghcb::Event::hv_timer,
    ghcb::Event::configure_injection,
    ghcb::Event::disable_alternate_injection,
    ghcb::Event::specific_eoi,
};

// What no answer of the hypervisor may look like. GHCB sheet 1.6.
class Judge final : public kvm::Observer {
 public:
  void vmgexit(const kvm::VmgexitEvent& e) override {
    if (e.msr_protocol) {
      return;
    }
    require(e.answer <= 2);
    if (e.answer == 1) {
      require(e.answer2 == 0x80000306 || e.answer2 == 0x8000030D || e.answer2 == 0x80000B0D);
    }
    if (e.answer == 2) {
      require(e.answer2 >= 1 && e.answer2 <= 6);
    }
  }
  // An honest hypervisor never writes to what it gave away.
  void host_rmp_fault(const kvm::HostRmpFaultEvent&) override { require(false); }
};

class Guest final : public machine::WrappedPort {
 public:
  using WrappedPort::WrappedPort;
  // vm null: VMRUN must not happen.
  void play(kvm::Vm* vm, fuzz::Bytes* input) {
    vm_ = vm;
    input_ = input;
  }

  Result<void, machine::HostException> vmrun(unsigned, SystemPhysical vmcb, u64 most) override {
    require(vm_ != nullptr);
    inner_.idle_until(inner_.tsc() + std::min<u64>(most, 1000));
    svm::Vmcb block{};
    require(inner_.load(vmcb, block.raw).ok());
    next_exit(block);
    require(inner_.store(vmcb, std::span<const u8>(block.raw), PageSize::size_4k).ok());
    return {};
  }

 private:
  void next_exit(svm::Vmcb& vmcb) {
    enum Kind : u8 { page, raw_page, msr, registration, nested_fault, other, kinds };
    vmcb.exitinfo1 = 0;
    vmcb.exitinfo2 = 0;
    vmcb.exitintinfo = 0;
    vmcb.interrupt_state = input_->take<u8>() & 3;
    vmcb.exitcode = svm::number(svm::ExitCode::intr);
    if (input_->empty()) {
      return;
    }
    switch (input_->take<u8>() % kinds) {
      case page:
        fill_page();
        return vmgexit(vmcb, ghcb_page.value());
      case raw_page:
        put(0, input_->take_bytes(page_size));
        return vmgexit(vmcb, ghcb_page.value());
      case msr:
        return vmgexit(vmcb, input_->take<u64>());
      case registration:
        return vmgexit(vmcb, encode(ghcb::RegisterGhcbRequest{ghcb_page}));
      case nested_fault:
        vmcb.exitcode = svm::number(svm::ExitCode::npf);
        vmcb.exitinfo1 = input_->take<u64>() & 0x0000003700000017F;
        vmcb.exitinfo2 = input_->take<u64>() & 0xFFFFFFFFFFFF;
        return;
      default:
        vmcb.exitcode = input_->take<u16>();
        vmcb.exitinfo1 = input_->take<u64>();
        vmcb.exitinfo2 = input_->take<u64>();
    }
  }
  static void vmgexit(svm::Vmcb& vmcb, u64 msr) {
    vmcb.exitcode = svm::number(svm::ExitCode::vmgexit);
    vmcb.ghcb = msr;
  }
  void put(u64 offset, std::span<const u8> bytes) {
    (void)vm_->write_shared(ghcb_page + offset, bytes).ok();
  }
  void put_field(unsigned offset, u64 value) {
    put(offset, {reinterpret_cast<const u8*>(&value), sizeof value});
  }
  // What reaches other vCPUs and VMPLs.
  void make_plausible(ghcb::Event event) {
    const u8 choice = input_->take<u8>();
    if (event == ghcb::Event::ap_creation) {
      put_field(field::sw_exitinfo1, encode(ghcb::ApCreation{choice & 3u, u8(choice >> 2 & 7), 0,
                                                             ghcb::ApRequest(choice >> 5 & 3)}));
      put_field(field::sw_exitinfo2, 0x201000 + (choice & 0x8F) * page_size);
      put_field(field::rax, 1);
    } else if (event == ghcb::Event::run_vmpl) {
      put_field(field::sw_exitinfo1, choice & 7);
    } else if (event == ghcb::Event::msr && (choice & 1) != 0) {
      put_field(field::rcx, apic_msrs[(choice >> 1) % std::size(apic_msrs)]);
    }
  }
  // A request that has a chance: a known event, plausible bits, a scratch area in the page.
  void fill_page() {
    const ghcb::Event event = events[input_->take<u8>() % std::size(events)];
    put_field(field::sw_exitcode, ghcb::number(event));
    put_field(field::sw_exitinfo1, input_->take<u64>());
    put_field(field::sw_exitinfo2, input_->take<u64>());
    for (const unsigned offset : {field::rax, field::rbx, field::rcx, field::rdx, field::xcr0}) {
      put_field(offset, input_->take<u32>());
    }
    make_plausible(event);
    const u8 choice = input_->take<u8>();
    put_field(field::sw_scratch, (choice & 1) != 0 ? input_->take<u64>()
                                                   : ghcb_page.value() + 0x800 + (choice & 0xF8));
    const u64 all_but = (choice & 2) != 0 ? input_->take<u64>() : 0;
    put_field(field::valid_bitmap, ~u64{0} & ~(all_but << 32));
    put_field(field::valid_bitmap + 8, ~all_but);
    put_field(field::usage & ~7u, (choice & 4) != 0 ? input_->take<u64>() : 0);
    const auto buffer = input_->take_bytes(input_->take<u16>() % 2049);
    put(ghcb::shared_buffer_offset, buffer);
  }

  fuzz::Bytes* input_ = nullptr;
  kvm::Vm* vm_ = nullptr;
};

// Does what a VMM does, or does it badly. False: the VM is over.
class Vmm {
 public:
  Vmm(kvm::Vm& vm, fuzz::Bytes& input) : vm_(vm), input_(input) {}
  bool answer(const kvm::VmExit& exit) {
    require(exit.vcpu != nullptr);
    vcpu_ = exit.vcpu;
    return std::visit(*this, exit.exit);
  }

  bool operator()(const kvm::IoExit& e) {
    require(e.size == 1 || e.size == 2 || e.size == 4);
    require(u64{e.size} * e.count <= page_size);
    require(e.in || e.data.size() == usize{e.size} * e.count);
    vcpu_->complete_io(input_.take_bytes(usize{e.size} * e.count));
    return true;
  }
  bool operator()(const kvm::MmioExit& e) {
    require(e.length >= 1 && e.length <= 8);
    vcpu_->complete_mmio(input_.take_bytes(e.length));
    return true;
  }
  bool operator()(const kvm::CertificatesExit& e) {
    constexpr u64 answers[] = {0, ENOSPC, EAGAIN, EIO};
    (void)vm_.write_shared(e.gpa, input_.take_bytes(input_.take<u8>())).ok();
    vcpu_->complete_certificates(answers[input_.take<u8>() % std::size(answers)],
                                 input_.take<u64>());
    return true;
  }
  bool operator()(const kvm::HypercallExit& e) {
    if ((input_.take<u8>() & 7) == 7) {
      vcpu_->complete_hypercall(input_.take<u32>());
      return true;
    }
    const u64 length = e.args[1] << page_shift;
    const bool in_ram = e.args[0] < guest_memory && e.args[1] <= guest_memory / page_size &&
                        length <= guest_memory - e.args[0];
    const bool done =
        in_ram && vm_.set_private(GuestPhysical(e.args[0]), length, (e.args[2] & 0x10) != 0).ok();
    vcpu_->complete_hypercall(done ? 0 : 22);
    return true;
  }
  bool operator()(const kvm::MemoryFaultExit& e) {
    const GuestPhysical page = e.address.page();
    return page.value() < guest_memory && vm_.set_private(page, page_size, e.is_private).ok();
  }
  bool operator()(const kvm::InternalErrorExit& e) {
    require(e.error > 0 && !e.why.empty());
    return true;
  }
  bool operator()(const kvm::NoProgressExit& e) {
    require(!e.why.empty());
    return false;
  }
  bool operator()(const kvm::IoapicEoiExit&) { return true; }
  bool operator()(const kvm::TerminationExit&) { return false; }
  bool operator()(const kvm::ShutdownExit&) { return false; }
  bool operator()(const kvm::FailEntryExit&) { return false; }
  bool operator()(const kvm::InterruptedExit&) { return true; }

 private:
  kvm::Vm& vm_;
  kvm::Vcpu* vcpu_ = nullptr;
  fuzz::Bytes& input_;
};

void launch(kvm::Kvm& host, kvm::Vm& vm) {
  require(vm.set_memory_region(0, GuestPhysical(0), guest_memory).ok());
  require(vm.enable_certificate_exits().ok());
  require(vm.set_private(GuestPhysical(0), guest_memory, true).ok());
  for (u32 id = 0; id < vcpus; ++id) {
    const auto vcpu = vm.create_vcpu(id);
    require(vcpu.ok());
    (*vcpu)->set_cpuid(host.supported_cpuid(kvm::VmType::snp));
    require((*vcpu)->set_state(svm::Vmsa{}).ok());
  }
  require(vm.launch_start({}).ok());
  require(
      vm.launch_update({GuestPhysical(0x200000), large_page_size, kvm::LaunchPageType::zero, {}})
          .ok());
  require(vm.launch_finish({}).ok());
  require(vm.set_private(ghcb_page, page_size, false).ok());
}

// A running host. Each input gets a VM of its own on it: bringing the platform up takes longer than
// most inputs.
struct Host {
  machine::Machine machine{{u64{64} << 20, 0, psp::Product::genoa, 1, {}}};
  Guest guest{machine.port()};
  Judge judge;
  std::unique_ptr<kvm::Kvm> kvm = kvm::make_kvm(guest);
};

void run(Host& host, std::span<const u8> data) {
  fuzz::Bytes input(data);
  kvm::VmConfig config{kvm::VmType::snp, &host.judge};
  // Half of the guests are under restricted injection and may give out the alternate one.
  config.alternate_injection = (input.take<u8>() & 1) != 0;
  config.vmsa_features = config.alternate_injection ? snp::feature::restricted_injection : 0;
  auto vm = host.kvm->create_vm(config);
  require(vm.ok());
  host.guest.play(vm->get(), &input);
  launch(*host.kvm, **vm);
  Vmm vmm(**vm, input);
  // A guest that waits with a timer that it holds back waits for ever, and takes no more input.
  bool alive = true;
  for (unsigned idle = 0; alive && idle < 100 && !input.empty();) {
    const usize before = input.size();
    alive = vmm.answer((*vm)->run((*vm)->now() + 100'000));
    idle = input.size() == before ? idle + 1 : 0;
  }
  host.guest.play(nullptr, nullptr);
}

}  // namespace

// The host outlives the inputs and keeps bookkeeping of past VMs: a search for leaks after each
// input would take nearly all the time.
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0";
}

extern "C" int LLVMFuzzerTestOneInput(const softsnp::u8* data, softsnp::usize size) {
  static Host host;
  run(host, {data, size});
  return 0;
}
