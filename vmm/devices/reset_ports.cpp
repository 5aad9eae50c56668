#include "vmm/devices/reset_ports.hpp"

namespace softsnp::devices {

u8 SystemControlA::read_byte(u16) {
  return state_.value;
}

void SystemControlA::write_byte(u16, u8 value) {
  constexpr u8 fast_reset = 1, a20 = 2;
  const bool rising = (value & fast_reset) && !(state_.value & fast_reset);
  state_.value = value & (a20 | fast_reset);
  if (rising) {
    control_.reset();
  }
}

u32 PciConfigPorts::read(u16 port, u8 size) {
  return port == 0xCF9 && size == 1 ? state_.reset_control : ~u32{0};
}

void PciConfigPorts::write(u16 port, u8 size, u32 value) {
  constexpr u8 system_reset = 2, reset_cpu = 4, full_reset = 8;
  if (port != 0xCF9 || size != 1) {
    return;
  }
  const bool rising = (value & reset_cpu) && !(state_.reset_control & reset_cpu);
  state_.reset_control = static_cast<u8>(value & (system_reset | reset_cpu | full_reset));
  if (rising) {
    control_.reset();
  }
}

u8 KeyboardPorts::read_byte(u16) {
  return 0xFF;
}

void KeyboardPorts::write_byte(u16 port, u8 value) {
  constexpr u8 pulse_reset = 0xFE;
  if (port == 0x64 && value == pulse_reset) {
    control_.reset();
  }
}

u32 DebugExit::read(u16, u8) {
  return 0;
}

void DebugExit::write(u16, u8, u32 value) {
  control_.debug_exit(value);
}

}  // namespace softsnp::devices
