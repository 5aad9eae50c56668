// Guest programs for the real machine, put together from a few instructions. 64-bit code.
#pragma once

#include <initializer_list>
#include <vector>

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/x86/msr.hpp"
#include "base/bytes.hpp"

namespace softsnp::kvm {

class GuestCode {
 public:
  std::vector<u8> bytes;

  GuestCode& put(std::initializer_list<u8> more) {
    bytes.insert(bytes.end(), more);
    return *this;
  }
  GuestCode& put32(u64 value) {
    for (unsigned i = 0; i < 4; ++i) {
      bytes.push_back(static_cast<u8>(value >> (8 * i)));
    }
    return *this;
  }
  GuestCode& wrmsr(u32 msr, u64 value) {
    put({0xB9}).put32(msr);
    put({0xB8}).put32(value);
    put({0xBA}).put32(value >> 32);
    return put({0x0F, 0x30});
  }
  GuestCode& rdmsr(u32 msr) { return put({0xB9}).put32(msr).put({0x0F, 0x32}); }
  GuestCode& vmgexit() { return put({0xF3, 0x0F, 0x01, 0xD9}); }
  // The MSR protocol: the answer is in EDX:EAX.
  GuestCode& ask(u64 request) {
    wrmsr(x86::msr::ghcb, request).vmgexit();
    return rdmsr(x86::msr::ghcb);
  }
  // Spins until the byte has the value.
  GuestCode& wait_byte(u32 address, u8 value) {
    put({0x80, 0x3C, 0x25}).put32(address);
    return put({value, 0x74, 0x04, 0xF3, 0x90, 0xEB, 0xF2});
  }
  GuestCode& increment(u32 address) { return put({0xF0, 0xFE, 0x04, 0x25}).put32(address); }
  GuestCode& load_byte(u32 address) {  // movzx eax, byte [address]
    return put({0x0F, 0xB6, 0x04, 0x25}).put32(address);
  }
  GuestCode& out_al(u8 port) { return put({0xE6, port}); }
  GuestCode& halt() { return put({0xF4}); }
  GuestCode& forever() { return put({0xEB, 0xFE}); }
  // RMPADJUST of a 4 KiB page: the mask of attributes and the VMPL are in RDX.
  GuestCode& rmpadjust(u32 page, u32 attributes) {
    put({0xB8}).put32(page);
    put({0x31, 0xC9, 0xBA}).put32(attributes);
    return put({0xF3, 0x0F, 0x01, 0xFE});
  }
  // A termination request with AL as its reason code, reason set 1.
  GuestCode& terminate_with_al() {
    put({0x0F, 0xB6, 0xC0, 0xC1, 0xE0, 0x10, 0x0D}).put32(0x1100);
    put({0x31, 0xD2, 0xB9}).put32(x86::msr::ghcb);
    return put({0x0F, 0x30}).vmgexit();
  }
};

}  // namespace softsnp::kvm
