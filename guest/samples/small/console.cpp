// Text by OUTSB and a number read from the RTC: port instructions, each one a #VC.
#include "guest/runtime/cpu.hpp"
#include "guest/samples/small/sample.hpp"

namespace softsnp::guest {

void run(SmallGuest& guest) {
  const char text[] = "written by rep outsb\n";
  const char* at = text;
  u64 count = sizeof text - 1;
  asm volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(u16{0x3F8}) : "memory");
  print("left to write: ", count, "\n");

  out8(0x70, 0x32);  // the century
  print("century: ", Hex{in8(0x71)}, "\n");
  u8 seconds[4] = {};
  u8* to = seconds;
  count = 4;
  out8(0x70, 0x0D);  // register D: bit 7 says that the time is valid, whenever it is read
  asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(u16{0x71}) : "memory");
  check(guest, "four times register D by rep insb",
        seconds[0] == 0x80 && seconds[1] == 0x80 && seconds[2] == 0x80 && seconds[3] == 0x80);
}

}  // namespace softsnp::guest
