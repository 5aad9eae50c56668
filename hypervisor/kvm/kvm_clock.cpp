#include "hypervisor/kvm/kvm_clock.hpp"

namespace softsnp::kvm {
namespace {
using u128 = unsigned __int128;
constexpr u64 nanoseconds_per_second = 1000000000;
}  // namespace

// ns = ((ticks << shift) * mul) >> 32, with mul in [2^31, 2^32) for the most digits.
ClockPage make_clock_page(u64 guest_tsc, u64 frequency_hz, u32 version) {
  ClockPage page;
  page.version = version;
  page.tsc_timestamp = guest_tsc;
  page.system_time = static_cast<u64>(u128{guest_tsc} * nanoseconds_per_second / frequency_hz);
  int shift = 0;
  u128 mul = (u128{nanoseconds_per_second} << 32) / frequency_hz;
  for (; mul >= (u128{1} << 32); mul >>= 1) {
    ++shift;
  }
  if (shift == 0) {
    while (mul < (u128{1} << 31) && shift > -31) {
      --shift;
      mul = (u128{nanoseconds_per_second} << (32 - shift)) / frequency_hz;
    }
  }
  page.tsc_to_system_mul = static_cast<u32>(mul);
  page.tsc_shift = static_cast<signed char>(shift);
  page.flags = clock_tsc_stable;
  return page;
}

u64 clock_nanoseconds(const ClockPage& page, u64 guest_tsc) {
  u64 delta = guest_tsc - page.tsc_timestamp;
  delta = page.tsc_shift < 0 ? delta >> -page.tsc_shift : delta << page.tsc_shift;
  return page.system_time + static_cast<u64>((u128{delta} * page.tsc_to_system_mul) >> 32);
}

}  // namespace softsnp::kvm
