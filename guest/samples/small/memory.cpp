// Private memory becomes shared and back: early page by page, late in batches with large pages; and
// a range that cannot be converted stays what it was.
#include "guest/samples/small/sample.hpp"

extern "C" char guest_image_end[];

namespace softsnp::guest {
namespace {

u64 first_large() {
  return align_up(reinterpret_cast<u64>(guest_image_end), large_page_size);
}

void fill(const PageRange& range, u64 value) {
  for (u64 i = 0; i < range.pages; ++i) {
    *reinterpret_cast<volatile u64*>((range.first + i * page_size).value()) = value + i;
  }
}

bool holds(const PageRange& range, u64 value) {
  for (u64 i = 0; i < range.pages; ++i) {
    if (*reinterpret_cast<volatile u64*>((range.first + i * page_size).value()) != value + i) {
      return false;
    }
  }
  return true;
}

void convert(SmallGuest& guest, const char* name, MemoryConversion conversion,
             const PageRange& range) {
  guest.must(conversion.make_shared(range));
  fill(range, 100);
  const bool shared = holds(range, 100);
  guest.must(conversion.make_private(range));
  fill(range, 200);
  check(guest, name, shared && holds(range, 200));
}

}  // namespace

void run(SmallGuest& guest) {
  const GuestPhysical first(first_large());
  EarlyPageState early(guest.processor());
  convert(guest, "three pages by the MSR protocol",
          {early, guest.validation(), guest.tables(), PageSizes::small_only}, {first, 3});
  convert(guest, "600 pages in three batches",
          {guest.page_state(), guest.validation(), guest.tables(), PageSizes::small_only},
          {first, 600});
  convert(guest, "6 MiB in large pages", guest.conversion(), {first + 2 * large_page_size, 1536});
  convert(guest, "three pages, a large one, and five", guest.conversion(),
          {first + (6 * large_page_size - 3 * page_size), 3 + 512 + 5});

  // The last page belongs to nobody: there is no RAM at 3 GiB, and no mapping of it to split.
  const PageRange tables_end{GuestPhysical(u64{4} << 30), 1};
  fill({first, 8}, 300);
  check(guest, "beyond the page tables nothing is converted",
        !guest.tables().set_encrypted(tables_end, false).ok());
  check(guest, "and nothing else has changed", holds({first, 8}, 300));
}

}  // namespace softsnp::guest
