// The SVSM as a program: everything it has, in one place.
#pragma once

#include "arch/boot/svsm_launch.hpp"
#include "guest/runtime/exceptions.hpp"
#include "guest/runtime/ghcb_client.hpp"
#include "guest/runtime/hardware_processor.hpp"
#include "guest/runtime/negotiation.hpp"
#include "guest/runtime/page_tables.hpp"
#include "guest/svsm/serve.hpp"
#include "guest/vmpl0/hardware_platform.hpp"
#include "guest/vmpl0/lock.hpp"
#include "guest/vmpl0/reporter.hpp"

namespace softsnp::svsm {

struct Program {
  guest::HardwareProcessor processor;
  HardwarePlatform platform;
  guest::ExceptionTables tables;
  guest::Protocol protocol;
  State state;
  MessageReporter reporter;
  Lock lock;
};

Program& program();

// Image address to gPA, which is also where it is mapped a second time.
GuestPhysical physical(const volatile void* object);
template <class T>
T& seen_by_host(T& object) {
  return *reinterpret_cast<T*>(physical(&object).value());
}

// This processor's GHCB.
guest::GhcbClient own_ghcb(Program& program);

// The steps of the start, in this order.
void take_over(Program& program, const boot::SvsmLaunchPages& pages);
void set_up_ghcbs(Program& program, const boot::SvsmLaunch& launch);
void hand_over_memory(Program& program, const boot::SvsmLaunch& launch);
void fill_secrets(Program& program, const boot::SvsmLaunch& launch);
void make_startup_vcpu(Program& program, const boot::SvsmLaunchPages& pages);
void start_processors(Program& program);

// Runs the guest's vCPU of this processor and serves its calls.
[[noreturn]] void serve_forever(Program& program, usize processor);

}  // namespace softsnp::svsm
