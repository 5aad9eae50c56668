// The platform's fixed addresses: what the ACPI tables announce and the devices implement.
// linux-boot sheet 4.1, 4.2 (option g). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::boot::platform {

// Hardware-reduced ACPI registers. Ports, not memory: a port access costs the guest no MMIO
// decoding in its #VC handler, and Linux takes them from a generic address either way.
inline constexpr u16 sleep_control_port = 0x600;
inline constexpr u16 sleep_status_port = 0x601;
inline constexpr u16 reset_port = 0x602;
inline constexpr u8 reset_value = 0x42;
// SLEEP_CONTROL (ACPI 6.5 4.8.3.7): SLP_TYPx in [4:2], SLP_EN bit 5; SLEEP_STATUS: WAK_STS bit 7.
inline constexpr u8 sleep_type_s5 = 5;
inline constexpr unsigned sleep_type_shift = 2;
inline constexpr u8 sleep_enable = 0x20;
inline constexpr u8 wake_status = 0x80;

inline constexpr u16 com1_port = 0x3F8;
inline constexpr u8 com1_ports = 8;
inline constexpr u8 com1_irq = 4;
inline constexpr u16 rtc_port = 0x70;
inline constexpr u8 rtc_ports = 2;
inline constexpr u8 rtc_irq = 8;
inline constexpr u16 debug_exit_port = 0xF4;  // isa-debug-exit of QEMU

inline constexpr u32 local_apic_address = 0xFEE00000;
inline constexpr u32 ioapic_address = 0xFEC00000;
inline constexpr u8 ioapic_id = 0;
inline constexpr u32 ioapic_gsi_base = 0;

// RAM ends here at the latest below 4 GiB; the rest continues at 4 GiB.
inline constexpr u64 low_ram_limit = 0xC0000000;
inline constexpr u64 high_ram_base = u64{1} << 32;
// The legacy VGA window, never RAM.
inline constexpr u64 vga_hole_base = 0xA0000;
inline constexpr u64 vga_hole_end = 0xC0000;

}  // namespace softsnp::boot::platform
