// Making the errors of the KVM wall.
#pragma once

#include <utility>

#include "hypervisor/host/error.hpp"
#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::kvm {

inline Failure<Error> fail(int number, std::string what) {
  return Failure<Error>{Error{number, 0, std::move(what)}};
}
inline Failure<Error> fail(const host::Error& error) {
  return Failure<Error>{Error{error.number, error.firmware, error.what}};
}

}  // namespace softsnp::kvm
