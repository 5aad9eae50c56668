// Which guest pages are private: KVM_SET_MEMORY_ATTRIBUTES. Independent of memory slots.
#pragma once

#include <array>
#include <map>

#include "arch/address.hpp"

namespace softsnp::kvm {

class PrivateAttributes {
 public:
  void set(GuestPhysical first, u64 bytes, bool is_private);
  bool is_private(GuestPhysical page) const;
  // All 512 pages of the 2 MiB frame that holds page.
  bool all_private(GuestPhysical page) const;
  bool all_shared(GuestPhysical page) const;

 private:
  static constexpr unsigned pages_per_frame = 512;
  struct Frame {
    u16 private_pages = 0;
    std::array<u64, pages_per_frame / 64> bits{};  // 1 = private
  };
  void set_page(Frame& frame, unsigned index, bool is_private);

  std::map<u64, Frame> frames_;  // by gPA >> 21; absent = all shared
};

}  // namespace softsnp::kvm
