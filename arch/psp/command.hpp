// Mailbox command identifiers. Firmware sheet 1.3. Open: the mailbox takes any number.
// Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

enum class Command : u32 {
#define COMMAND(id, name, text) name = (id),
#include "arch/psp/command.inc"
#undef COMMAND
};
constexpr u32 number(Command command) {
  return static_cast<u32>(command);
}

constexpr const char* name(Command command) {
  switch (command) {
#define COMMAND(id, name, text) \
  case Command::name:           \
    return text;
#include "arch/psp/command.inc"
#undef COMMAND
  }
  return "unknown command";
}

}  // namespace softsnp::psp
