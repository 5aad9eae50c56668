// The machine: DRAM, RMP, cores, secure processor, clock, and the host port to them. Nothing is
// global: two machines in one process do not know of each other.
#pragma once

#include <memory>

#include "arch/psp/tcb_version.hpp"
#include "machine/cpu/system/events.hpp"
#include "machine/memory/events.hpp"
#include "machine/port/host_port.hpp"
#include "machine/psp/config.hpp"
#include "machine/psp/events.hpp"

namespace softsnp::cpu {
class Processor;
}
namespace softsnp::memory {
class Dram;
class Rmp;
}  // namespace softsnp::memory

namespace softsnp::machine {

// May all be null; they outlive the machine.
struct Observers {
  memory::Observer* memory = nullptr;
  psp::Observer* psp = nullptr;
  cpu::Observer* cpu = nullptr;
};

struct Config {
  u64 dram_bytes = u64{2} << 30;  // multiple of 2 MiB
  u64 seed = 0;                   // keys, RDRAND, tweak constants
  psp::Product product = psp::Product::genoa;
  unsigned cores = 1;
  Observers observers;
  psp::ProcessorIdentity identity{};
};

class Machine {
 public:
  explicit Machine(const Config& config);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine();

  HostPort& port();
  // For observers and tests: they look, never steer.
  memory::Dram& dram();
  memory::Rmp& rmp();
  unsigned core_count() const;
  cpu::Processor& core(unsigned index);
  // The core that runs a guest, or was the last to.
  unsigned last_core() const;
  u64 now() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace softsnp::machine
