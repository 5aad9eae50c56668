// Firmware status codes, 16 bits in CmdResp. Firmware sheet 1.2 (56860 "Status codes"). Open: any
// value may stand in the register. Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

enum class Status : u16 {
#define STATUS(code, name, text) name = (code),
#include "arch/psp/status.inc"
#undef STATUS
};
constexpr u16 number(Status status) {
  return static_cast<u16>(status);
}

// A legacy command whose own buffer lies in a page of the wrong state answers the page-state error
// plus this (firmware sheet 1.1).
inline constexpr u16 command_buffer_page_error = 0x40;

constexpr const char* name(Status status) {
  switch (status) {
#define STATUS(code, name, text) \
  case Status::name:             \
    return text;
#include "arch/psp/status.inc"
#undef STATUS
  }
  return number(status) == number(Status::invalid_page_state) + command_buffer_page_error
             ? "INVALID_PAGE_STATE (command buffer)"
             : "unknown status";
}

}  // namespace softsnp::psp
