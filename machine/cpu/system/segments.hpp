// Descriptors and segment loads. APM2 chapter 4. Functions that answer false have set core.fault.
#pragma once

#include "machine/cpu/system/system.hpp"

namespace softsnp::cpu {

namespace selector {
inline constexpr u16 rpl_mask = 3, local = 4;
constexpr u8 rpl(u16 value) {
  return static_cast<u8>(value & rpl_mask);
}
constexpr bool is_null(u16 value) {
  return (value & ~rpl_mask) == 0;
}
// Selector part of an error code.
constexpr u32 error(u16 value) {
  return value & ~u32{rpl_mask};
}
}  // namespace selector

// Bit 0 of a selector error code: the event is not the program's own.
inline constexpr u32 error_external = 1;
// Bit 1: the selector part is an IDT vector.
inline constexpr u32 error_idt = 2;

// Types of system descriptors (APM2 table 4-6); 386 types with 64-bit meaning in long mode.
namespace system_type {
inline constexpr u8 tss16 = 1, ldt = 2, tss16_busy = 3, call16 = 4, task_gate = 5, interrupt16 = 6,
                    trap16 = 7, tss32 = 9, tss32_busy = 11, call32 = 12, interrupt32 = 14,
                    trap32 = 15;
}

// Eight bytes of a descriptor table, and the second eight of a system descriptor in long mode.
struct Descriptor {
  u64 low = 0;
  u64 high = 0;
  u64 linear = 0;  // where it was read

  u16 attributes() const {
    return static_cast<u16>(get_bits(low, 47, 40) | (get_bits(low, 55, 52) << 8));
  }
  u32 limit() const {
    const u64 raw = get_bits(low, 15, 0) | (get_bits(low, 51, 48) << 16);
    return static_cast<u32>(has_bit(low, 55) ? (raw << 12) | 0xFFF : raw);
  }
  u64 base() const {
    return get_bits(low, 39, 16) | (get_bits(low, 63, 56) << 24) | (get_bits(high, 31, 0) << 32);
  }
  u8 type() const { return static_cast<u8>(get_bits(low, 43, 40)); }
  bool code_or_data() const { return has_bit(low, 44); }
  u8 dpl() const { return static_cast<u8>(get_bits(low, 46, 45)); }
  bool present() const { return has_bit(low, 47); }
  bool code() const { return code_or_data() && (type() & 8) != 0; }
  bool conforming() const { return (type() & 4) != 0; }
  bool readable() const { return code_or_data() && (!code() || (type() & 2) != 0); }
  bool writable() const { return code_or_data() && !code() && (type() & 2) != 0; }
  bool long_mode() const { return has_bit(low, 53); }
  bool big() const { return has_bit(low, 54); }
  // Gates.
  u16 gate_selector() const { return static_cast<u16>(get_bits(low, 31, 16)); }
  u64 gate_offset() const {
    return get_bits(low, 15, 0) | (get_bits(low, 63, 48) << 16) | (get_bits(high, 31, 0) << 32);
  }
};

enum class Lookup : u8 { ok, beyond_limit, fault };

bool is_canonical(u64 linear);
// Linear address of an implicit access: 32 bits outside long mode.
u64 linear_of(const CoreState& state, u64 base, u64 offset);

// The descriptor a selector names (not null). System descriptors are 16 bytes in long mode.
Lookup read_descriptor(System& system, u16 sel, Descriptor& out);
// As above; beyond the limit raises vector with the selector's error code.
bool read_descriptor(System& system, u16 sel, x86::Vector vector, u32 external, Descriptor& out);
bool mark_accessed(System& system, Descriptor& descriptor);
svm::SegmentRegister to_register(u16 sel, const Descriptor& descriptor);
// A segment as real and v8086 mode load it.
void load_real_segment(System& system, x86::Segment which, u16 sel);

// MOV, POP, LDS... to a data segment or SS, all modes.
bool load_segment(System& system, x86::Segment which, u16 sel);
// SS for a stack of privilege cpl, read and checked but not loaded; the new stack of a gate
// raises #TS where a move to SS would raise #GP.
bool check_stack_segment(System& system, u16 sel, u8 cpl, x86::Vector vector, u32 external,
                         Descriptor& out);
// Loads CS with privilege cpl in the selector's RPL.
bool load_code_segment(System& system, u16 sel, Descriptor& descriptor, u8 cpl);
void set_segment(System& system, x86::Segment which, const svm::SegmentRegister& value);
// Code segment of a far transfer to sel: not null, code, present, privilege as CPL cpl demands.
bool check_code_target(System& system, u16 sel, Descriptor& out);
// Far returns and IRET (far_transfer.cpp): CS and RIP from the stack; SS of an outer stack, which
// may be null below CPL 3 when the target is 64-bit code.
bool read_return_code(System& system, u16 sel, u64 rip, Descriptor& out);
bool check_return_stack(System& system, u16 sel, u8 cpl, bool to_64bit, svm::SegmentRegister& ss);
// After a return to less privilege: data segments the new CPL may not have become null.
void drop_privileged_segments(System& system);

}  // namespace softsnp::cpu
