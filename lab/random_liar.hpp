// A hostile hypervisor that answers its guest's requests falsely at random, by a seed: an answer in
// the GHCB, its valid bits, the shared buffer behind them, or the GHCB MSR.
#pragma once

#include <functional>
#include <random>

#include "lab/guest_signal.hpp"
#include "machine/port/wrapped_port.hpp"

namespace softsnp::lab {

class RandomLiar final : public machine::WrappedPort {
 public:
  // Which requests may be lied about: by the GHCB, or the value of the GHCB MSR. Null: none.
  struct About {
    std::function<bool(const ghcb::Ghcb& request)> page;
    std::function<bool(u64 request)> msr;
  };

  // One answer in `one_in` is a lie.
  RandomLiar(machine::HostPort& inner, u64 seed, unsigned one_in, About about)
      : WrappedPort(inner), random_(seed), one_in_(one_in), about_(std::move(about)) {}

  unsigned asked() const { return asked_; }
  unsigned lies() const { return lies_; }

  Result<void, machine::HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                             u64 max_instructions) override;

 private:
  struct Pending {
    u64 msr = 0;  // the request, if not by the GHCB
    std::optional<GhcbView> ghcb;
  };
  void see_exit(SystemPhysical vmcb);
  void lie_by_msr(SystemPhysical vmcb);
  void lie_by_page();
  void put(SystemPhysical at, u64 value);
  u64 number();

  std::mt19937_64 random_;
  unsigned one_in_;
  About about_;
  std::optional<Pending> pending_;
  unsigned asked_ = 0, lies_ = 0;
};

}  // namespace softsnp::lab
