#include "guest/svsm/serve.hpp"

#include "arch/svm/exit_code.hpp"
#include "arch/svm/vmsa.hpp"
#include "arch/svsm/calling_area.hpp"

namespace softsnp::svsm {
namespace {

#define VMSA_OFFSET(field) __builtin_offsetof(svm::Vmsa, field)

// The VMSA is closed to the guest and in no use by a processor: these accesses do not fail.
u64 get(Platform& platform, GuestPhysical vmsa, usize offset) {
  u64 value = 0;
  (void)read_value(platform, vmsa + offset, value);
  return value;
}
void set(Platform& platform, GuestPhysical vmsa, usize offset, u64 value) {
  (void)write_value(platform, vmsa + offset, value);
}

Registers registers_of(Platform& platform, GuestPhysical vmsa) {
  return {get(platform, vmsa, VMSA_OFFSET(rax)), get(platform, vmsa, VMSA_OFFSET(rcx)),
          get(platform, vmsa, VMSA_OFFSET(rdx)), get(platform, vmsa, VMSA_OFFSET(r8)),
          get(platform, vmsa, VMSA_OFFSET(r9))};
}

// RAX zero-extended: Linux compares all of it. R9 is no output of any call.
void answer(Platform& platform, GuestPhysical vmsa, const Registers& in, const Registers& out,
            ResultCode result) {
  set(platform, vmsa, VMSA_OFFSET(rax), number(result));
  if (out.rcx != in.rcx) {
    set(platform, vmsa, VMSA_OFFSET(rcx), out.rcx);
  }
  if (out.rdx != in.rdx) {
    set(platform, vmsa, VMSA_OFFSET(rdx), out.rdx);
  }
  if (out.r8 != in.r8) {
    set(platform, vmsa, VMSA_OFFSET(r8), out.r8);
  }
}

// call_pending, or no_call where nothing was asked.
u8 pending_call(Platform& platform, const GuestVcpu& vcpu) {
  u8 pending = CallingArea::no_call;
  const bool asked = get(platform, vcpu.vmsa, VMSA_OFFSET(guest_exitcode)) ==
                     static_cast<u64>(svm::ExitCode::vmgexit);
  return asked && read_value(platform, vcpu.calling_area, pending) ? pending : CallingArea::no_call;
}

}  // namespace

Turn serve(const Services& services, usize index) {
  GuestVcpu& vcpu = services.state.vcpus[index];
  if (!vcpu.exists()) {
    return Turn::idle;
  }
  Platform& platform = services.platform;
  // Of the call, whatever the call makes of the vCPU.
  const GuestPhysical vmsa = vcpu.vmsa;
  const GuestPhysical area = vcpu.calling_area;
  platform.exchange_runnable(vmsa, false);
  const u8 pending = pending_call(platform, vcpu);
  if (pending != CallingArea::no_call) {
    const Registers in = registers_of(platform, vmsa);
    Request request{platform, services.state, services.reporter, services.vtpm, vcpu, in};
    const ResultCode result =
        pending == CallingArea::call ? dispatch(request) : ResultCode::invalid_format;
    if (services.state.vcpus.record_of(vmsa) == nullptr) {
      return Turn::idle;  // it has deleted itself
    }
    answer(platform, vmsa, in, request.registers, result);
    (void)write_value(platform, area, CallingArea::no_call);
  }
  platform.exchange_runnable(vmsa, true);
  return Turn::run_guest;
}

}  // namespace softsnp::svsm
