#include "machine/machine.hpp"

#include "machine/port_implementation.hpp"
#include "machine/psp/psp.hpp"

namespace softsnp::machine {

struct Machine::Impl {
  explicit Impl(const Config& config)
      : package(config),
        psp(psp::make_config(config.seed, config.product, config.identity), package.dram,
            package.rmp, package, config.observers.psp),
        port(package, psp) {}

  Package package;
  psp::Psp psp;
  Port port;
};

Machine::Machine(const Config& config) : impl_(std::make_unique<Impl>(config)) {}
Machine::~Machine() = default;

HostPort& Machine::port() {
  return impl_->port;
}
memory::Dram& Machine::dram() {
  return impl_->package.dram;
}
memory::Rmp& Machine::rmp() {
  return impl_->package.rmp;
}
cpu::Processor& Machine::core(unsigned index) {
  return *impl_->package.processors.at(index);
}
unsigned Machine::core_count() const {
  return impl_->package.core_count();
}
unsigned Machine::last_core() const {
  return impl_->port.last_core();
}
u64 Machine::now() const {
  return impl_->package.clock.now;
}

}  // namespace softsnp::machine
