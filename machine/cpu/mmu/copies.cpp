// Accesses that go to a copy of the bytes instead of the frame: through a bus layer, glances at
// frames held in another form, first writes to fresh frames.
#include <cstring>

#include "machine/cpu/mmu/mmu.hpp"

namespace softsnp::cpu {

u8* Mmu::begin_first_write(Core& core, u64 linear, const Translation& t) {
  dram_.read(t.spa.page(), t.key, first_bytes_);
  first_write_ = {t.spa.page(), t.key, &fill(core, linear, true, t, first_bytes_)};
  unsettled_ = true;
  return first_bytes_ + t.spa.page_offset();
}

// The TLB entry may belong to another page by now.
void Mmu::end_first_write() {
  TlbEntry& entry = *first_write_.entry;
  if (entry.page_number() == first_write_.page.page_number()) {
    entry.read_tag = entry.write_tag = ~u64{0};
  }
  dram_.write(first_write_.page, first_write_.key, first_bytes_);
  first_write_.entry = nullptr;
}

void Mmu::settle_slow() {
  unsettled_ = false;
  if (first_write_.entry != nullptr) {
    end_first_write();
  }
  if (bus_write_size_ != 0) {
    dram_.write(bus_write_at_, bus_write_key_,
                std::span(bus_buffer_ + bus_write_at_.page_offset(), bus_write_size_));
    bus_write_size_ = 0;
  }
  if (store_watch_.has_news()) {
    store_watch_.tell();
  }
}

u8* Mmu::copy_of(const Translation& t, u32 size) {
  u8* at = bus_buffer_ + t.spa.page_offset();
  dram_.read(t.spa, t.key, std::span(at, size));
  return at;
}

u8* Mmu::through_bus_layer(const Translation& t, u32 size, Access access) {
  u8* at = copy_of(t, size);
  if (access == Access::write) {
    bus_write_at_ = t.spa;
    bus_write_key_ = t.key;
    bus_write_size_ = size;
    unsettled_ = true;
  }
  return at;
}

}  // namespace softsnp::cpu
