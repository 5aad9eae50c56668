// The seam for what lies between the askers and DRAM: address routing (aliased modules, misrouted
// writes) and dirty cache lines. Absent, it costs nothing.
// docs/architecture.md "Memory: exact encryption at no cost per access".
//
// How a core honours it: with Dram::has_bus_layer() a TLB fill gives no host pointer, and each
// access of the core goes through Dram::read() and Dram::write(), which consult the layer.
// Dram::frame() never does: it names a frame of DRAM and not an address on the bus. The RMP unit
// reaches its entries by frame, so an alias of the RMP changes what it sees, as on hardware.
#pragma once

#include "arch/address.hpp"
#include "machine/memory/crypt/key_table.hpp"

namespace softsnp::memory {

class BusLayer {
 public:
  virtual ~BusLayer() = default;

  // The frame of DRAM that answers for a page; inside DRAM. Encryption happens before routing, so
  // the tweak stays that of the asked-for address: an alias shows the same ciphertext.
  virtual SystemPhysical route(SystemPhysical page) const = 0;

  // Around each byte range that goes over the bus, with the address as asked for. The layer may
  // change DRAM from inside (write a dirty line back, for instance) by frame().
  virtual void before_read(SystemPhysical at, KeyId key, u64 bytes) {
    static_cast<void>(at), static_cast<void>(key), static_cast<void>(bytes);
  }
  virtual void after_write(SystemPhysical at, KeyId key, u64 bytes) {
    static_cast<void>(at), static_cast<void>(key), static_cast<void>(bytes);
  }
};

}  // namespace softsnp::memory
