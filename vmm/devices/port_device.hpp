// A device on the I/O ports.
#pragma once

#include "base/types.hpp"

namespace softsnp::devices {

class PortDevice {
 public:
  virtual ~PortDevice() = default;
  // size is 1, 2 or 4; port is the full address; excess bits of the result are dropped.
  virtual u32 read(u16 port, u8 size) = 0;
  virtual void write(u16 port, u8 size, u32 value) = 0;
};

// A device with byte registers: wider accesses reach it as single bytes at rising ports, as an
// ISA bus converts them.
class BytePortDevice : public PortDevice {
 public:
  u32 read(u16 port, u8 size) final {
    u32 value = 0;
    for (u8 i = 0; i < size; ++i) {
      value |= u32{read_byte(static_cast<u16>(port + i))} << (8 * i);
    }
    return value;
  }
  void write(u16 port, u8 size, u32 value) final {
    for (u8 i = 0; i < size; ++i) {
      write_byte(static_cast<u16>(port + i), static_cast<u8>(value >> (8 * i)));
    }
  }
  virtual u8 read_byte(u16 port) = 0;
  virtual void write_byte(u16 port, u8 value) = 0;
};

}  // namespace softsnp::devices
