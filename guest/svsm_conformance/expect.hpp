// How a case asks and judges. Freestanding.
#pragma once

#include "arch/svsm/calling_area.hpp"
#include "arch/svsm/result_code.hpp"
#include "guest/svsm_conformance/stage.hpp"

namespace softsnp::conformance {

using svsm::ResultCode;

inline void expect(Stage& stage, const char* name, u64 got, u64 expected) {
  stage.judge(name, got == expected, got, expected);
}

// The call, its result, and that the handshake ended as it must.
inline svsm::Registers expect_call(Stage& stage, const char* name, const svsm::Registers& in,
                                   ResultCode expected) {
  const svsm::Registers out = stage.call(in, svsm::CallingArea::call);
  const bool good = out.rax == number(expected) && stage.pending() == 0 && out.r9 == in.r9;
  stage.judge(name, good, out.rax, number(expected));
  return out;
}

inline svsm::Registers core(svsm::CoreCall id, u64 rcx = 0, u64 rdx = 0, u64 r8 = 0) {
  return {number(id), rcx, rdx, r8, 0x9999};
}

template <class T>
void put(Stage& stage, GuestPhysical at, const T& value) {
  stage.write(at, &value, sizeof value);
}
template <class T>
T get(Stage& stage, GuestPhysical at) {
  T value;
  stage.read(at, &value, sizeof value);
  return value;
}

// A VMSA page's content that CREATE_VCPU takes: level 2, SVME, the features of an SNP guest.
struct VmsaContent {
  u8 vmpl = 2;
  u64 efer = 0x1000;
  u64 features = 1;
};
void put_vmsa(Stage& stage, GuestPhysical at, const VmsaContent& content = {});

}  // namespace softsnp::conformance
