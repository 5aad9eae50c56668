// SW_EXITCODE of the page protocol: SVM exit codes and the software-defined events. GHCB sheet 3
// (56421, "NAE Events"). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::ghcb {

// Open: any 64-bit number may arrive; all 64 bits count.
enum class Event : u64 {
  dr7_read = 0x27,
  dr7_write = 0x37,
  rdtsc = 0x6E,
  rdpmc = 0x6F,
  cpuid = 0x72,
  invd = 0x76,
  ioio = 0x7B,
  msr = 0x7C,
  vmmcall = 0x81,
  rdtscp = 0x87,
  wbinvd = 0x89,
  monitor = 0x8A,
  mwait = 0x8B,
  mmio_read = 0x80000001,
  mmio_write = 0x80000002,
  nmi_complete = 0x80000003,
  ap_reset_hold = 0x80000004,
  ap_jump_table = 0x80000005,
  page_state_change = 0x80000010,
  guest_request = 0x80000011,
  extended_guest_request = 0x80000012,
  ap_creation = 0x80000013,
  hv_doorbell_page = 0x80000014,
  hv_ipi = 0x80000015,
  hv_timer = 0x80000016,
  apic_id_list = 0x80000017,
  run_vmpl = 0x80000018,
  configure_injection = 0x8000001B,
  disable_alternate_injection = 0x8000001C,
  specific_eoi = 0x8000001D,
  features = 0x8000FFFD,
  termination = 0x8000FFFE,
  unsupported = 0x8000FFFF,
};

constexpr u64 number(Event event) {
  return static_cast<u64>(event);
}

constexpr const char* name(Event event) {
  switch (event) {
    case Event::dr7_read:
      return "DR7 read";
    case Event::dr7_write:
      return "DR7 write";
    case Event::rdtsc:
      return "RDTSC";
    case Event::rdpmc:
      return "RDPMC";
    case Event::cpuid:
      return "CPUID";
    case Event::invd:
      return "INVD";
    case Event::ioio:
      return "IOIO";
    case Event::msr:
      return "MSR";
    case Event::vmmcall:
      return "VMMCALL";
    case Event::rdtscp:
      return "RDTSCP";
    case Event::wbinvd:
      return "WBINVD";
    case Event::monitor:
      return "MONITOR";
    case Event::mwait:
      return "MWAIT";
    case Event::mmio_read:
      return "MMIO read";
    case Event::mmio_write:
      return "MMIO write";
    case Event::nmi_complete:
      return "NMI complete";
    case Event::ap_reset_hold:
      return "AP reset hold";
    case Event::ap_jump_table:
      return "AP jump table";
    case Event::page_state_change:
      return "page state change";
    case Event::guest_request:
      return "guest request";
    case Event::extended_guest_request:
      return "extended guest request";
    case Event::ap_creation:
      return "AP creation";
    case Event::hv_doorbell_page:
      return "#HV doorbell page";
    case Event::hv_ipi:
      return "#HV IPI";
    case Event::hv_timer:
      return "#HV timer";
    case Event::apic_id_list:
      return "APIC ID list";
    case Event::run_vmpl:
      return "run VMPL";
    case Event::configure_injection:
      return "configure interrupt injection";
    case Event::disable_alternate_injection:
      return "disable alternate injection";
    case Event::specific_eoi:
      return "specific EOI";
    case Event::features:
      return "hypervisor features";
    case Event::termination:
      return "termination";
    case Event::unsupported:
      return "unsupported event";
  }
  return "unknown";
}

}  // namespace softsnp::ghcb
