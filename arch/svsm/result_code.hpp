// Result codes of SVSM calls, RAX on return, zero-extended. SVSM sheet 3.2 (58019 "Result Codes").
// Freestanding.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::svsm {

// Open: any 32-bit number may arrive.
enum class ResultCode : u32 {
  success = 0,
  incomplete = 0x80000000,
  unsupported_protocol = 0x80000001,
  unsupported_call = 0x80000002,
  invalid_address = 0x80000003,
  invalid_format = 0x80000004,
  invalid_parameter = 0x80000005,
  invalid_request = 0x80000006,
  busy = 0x80000007,
  protocol_error = 0x80001000,  // the first of the protocol-defined ones
};

constexpr u32 number(ResultCode code) {
  return static_cast<u32>(code);
}

// Core protocol: PVALIDATE or RMPADJUST said EAX (SVSM sheet 4.2).
constexpr ResultCode instruction_failed(u32 eax) {
  return static_cast<ResultCode>(number(ResultCode::protocol_error) + (eax & 0xF));
}
inline constexpr ResultCode fail_input = instruction_failed(1),
                            fail_permission = instruction_failed(2),
                            fail_in_use = instruction_failed(3),
                            fail_size_mismatch = instruction_failed(6);
// PVALIDATE: CF set and not to be ignored; EAX outside 0..15.
inline constexpr ResultCode fail_no_change{0x80001010}, fail_unknown{0x80001011};
static_assert(number(fail_size_mismatch) == 0x80001006);

// 0x4nnnnnnn to 0x7nnnnnnn: so many more 4 KiB pages are needed, nothing was done.
constexpr ResultCode needs_memory(u32 pages) {
  return static_cast<ResultCode>(0x40000000u | (pages & static_cast<u32>(mask_bits(29, 0))));
}
constexpr bool is_needs_memory(ResultCode code) {
  return get_bits(number(code), 31, 30) == 1;
}
// The same call again, with RAX reloaded (SVSM sheet 3.2).
constexpr bool is_retry(ResultCode code) {
  return code == ResultCode::incomplete || code == ResultCode::busy;
}

constexpr const char* name(ResultCode code) {
  switch (code) {
    case ResultCode::success:
      return "SUCCESS";
    case ResultCode::incomplete:
      return "INCOMPLETE";
    case ResultCode::unsupported_protocol:
      return "UNSUPPORTED_PROTOCOL";
    case ResultCode::unsupported_call:
      return "UNSUPPORTED_CALL";
    case ResultCode::invalid_address:
      return "INVALID_ADDRESS";
    case ResultCode::invalid_format:
      return "INVALID_FORMAT";
    case ResultCode::invalid_parameter:
      return "INVALID_PARAMETER";
    case ResultCode::invalid_request:
      return "INVALID_REQUEST";
    case ResultCode::busy:
      return "BUSY";
    case ResultCode::protocol_error:
      break;
  }
  return is_needs_memory(code) ? "MORE_MEMORY" : "protocol-defined";
}

}  // namespace softsnp::svsm
