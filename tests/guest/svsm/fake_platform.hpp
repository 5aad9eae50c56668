// A guest's memory with a reverse map of its own, for the SVSM's handlers: what the sheets say of
// PVALIDATE and RMPADJUST, written down a second time and more simply than in machine/memory.
#pragma once

#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "arch/snp/rmp.hpp"
#include "guest/svsm/permissions.hpp"
#include "guest/svsm/serve.hpp"

namespace softsnp::svsm::test {

inline constexpr u64 memory_bytes = u64{16} << 20;
inline constexpr u64 memory_pages = memory_bytes / page_size;
inline constexpr Stretch own_memory{GuestPhysical(0xC00000), 0x200000};

struct FakePage {
  bool assigned = true;  // false: shared with the host, no private access
  bool validated = true;
  bool vmsa = false;
  bool large = false;
  std::array<u8, 4> permissions{0xFF, 0, 0, 0};
  friend bool operator==(const FakePage&, const FakePage&) = default;
};

class FakePlatform final : public Platform {
 public:
  FakePlatform() : bytes(static_cast<u8*>(std::calloc(1, memory_bytes))), pages(memory_pages) {}

  bool read(GuestPhysical from, void* to, usize size) override {
    if (!accessible(from, size)) {
      return false;
    }
    std::memcpy(to, &bytes[from.value()], size);
    ++reads[from.value()];
    return true;
  }
  bool write(GuestPhysical to, const void* from, usize size) override {
    if (!accessible(to, size)) {
      return false;
    }
    std::memcpy(&bytes[to.value()], from, size);
    return true;
  }
  bool zero(GuestPhysical at, u64 size) override {
    if (!accessible(at, size)) {
      return false;
    }
    std::memset(&bytes[at.value()], 0, size);
    // Whoever sees a page before it is zeroed sees what the host put there.
    zeroed_while_granted |= any_granted(at, size);
    return true;
  }
  RmpAnswer pvalidate(GuestPhysical page, PageSize size, bool validate) override {
    RmpAnswer answer;
    if (!prepare(page, size, answer)) {
      return answer;
    }
    FakePage& entry = at(page);
    answer.carry = entry.validated == validate;
    for_each(page, size, [&](FakePage& one) { one.validated = validate; });
    return answer;
  }
  RmpAnswer rmpadjust(GuestPhysical page, PageSize size, const Adjustment& how) override {
    RmpAnswer answer;
    if (at(page).assigned && !at(page).validated) {
      answer.outcome = RmpAnswer::Outcome::not_validated;
      return answer;
    }
    if (!prepare(page, size, answer)) {
      return answer;
    }
    if (rmpadjust_eax != 0 && --rmpadjusts_before_eax < 0) {
      answer.eax = rmpadjust_eax;
      rmpadjust_eax = 0;
      return answer;
    }
    for_each(page, size, [&](FakePage& one) {
      reduced |= (one.permissions[number(how.target)] & ~how.permissions) != 0;
      one.permissions[number(how.target)] = how.permissions;
      one.vmsa = how.vmsa;
    });
    return answer;
  }
  void flush_tlb() override { reduced = false; }
  bool exchange_runnable(GuestPhysical vmsa, bool runnable) override {
    u64 efer = load<u64>(vmsa + 0x0D0);
    const bool before = (efer & 0x1000) != 0;
    efer = runnable ? efer | 0x1000 : efer & ~u64{0x1000};
    store(vmsa + 0x0D0, running == vmsa ? efer | 0x1000 : efer);
    return before;
  }

  template <class T>
  T load(GuestPhysical from) const {
    T value;
    std::memcpy(&value, &bytes[from.value()], sizeof value);
    return value;
  }
  template <class T>
  void store(GuestPhysical to, const T& value) {
    std::memcpy(&bytes[to.value()], &value, sizeof value);
  }
  FakePage& at(GuestPhysical page) { return pages[page.page_number()]; }

  struct Free {
    void operator()(void* at) const { std::free(at); }
  };
  std::unique_ptr<u8[], Free> bytes;  // zero pages cost nothing
  std::vector<FakePage> pages;
  std::map<u64, unsigned> reads;  // by first address
  bool reduced = false;           // permissions were, and no flush since
  bool zeroed_while_granted = false;
  GuestPhysical running;  // a VMSA that a processor holds: SVME comes back
  u32 rmpadjust_eax = 0;  // RMPADJUST fails so, after some that succeed
  int rmpadjusts_before_eax = 0;

 private:
  bool accessible(GuestPhysical start, u64 size) const {
    if (start.value() >= memory_bytes || size > memory_bytes - start.value()) {
      return false;
    }
    for (u64 page = start.page_number(); page <= (start.value() + size - 1) / page_size; ++page) {
      if (!pages[page].assigned || !pages[page].validated) {
        return false;
      }
    }
    return true;
  }
  bool any_granted(GuestPhysical start, u64 size) const {
    for (u64 page = start.page_number(); page < (start.value() + size) / page_size; ++page) {
      const auto& allowed = pages[page].permissions;
      if ((allowed[1] | allowed[2] | allowed[3]) != 0) {
        return true;
      }
    }
    return false;
  }
  // Assignment, alignment, sizes: as PVALIDATE and RMPADJUST have in common. The host smashes a
  // large page for a small request.
  bool prepare(GuestPhysical page, PageSize size, RmpAnswer& answer) {
    if (page.value() >= memory_bytes || !at(page).assigned) {
      answer.outcome = RmpAnswer::Outcome::faulted;
      return false;
    }
    if (size == PageSize::size_2m && !page.is_large_page_aligned()) {
      answer.eax = 1;
      return false;
    }
    const bool large = at(page.large_page()).large;
    if (size == PageSize::size_2m && !large) {
      answer.eax = 6;
      return false;
    }
    if (size == PageSize::size_4k && large) {
      for_each(page.large_page(), PageSize::size_2m, [](FakePage& one) { one.large = false; });
    }
    return true;
  }
  template <class Change>
  void for_each(GuestPhysical page, PageSize size, Change change) {
    for (u64 n = 0; n < softsnp::bytes(size) / page_size; ++n) {
      change(pages[page.page_number() + n]);
    }
  }
};

}  // namespace softsnp::svsm::test
