#include "guest/runtime/vc_memory.hpp"

#include "guest/decode/instruction.hpp"

namespace softsnp::guest {
namespace {

namespace pte = x86::pte;
namespace pf = x86::pf_error;

Failure<Trouble> page_fault(GuestVirtual at, u64 error, Access access, bool user) {
  error |= (access == Access::write ? pf::write : 0) | (access == Access::fetch ? pf::fetch : 0) |
           (user ? pf::user : 0);
  return trouble(
      Exception{static_cast<u8>(x86::Vector::pf), true, static_cast<u32>(error), at.value()});
}

bool is_canonical(u64 at, unsigned bits) {
  const u64 top = at >> (bits - 1);
  return top == 0 || top == ~u64{0} >> (bits - 1);
}

u64 load_sized(const u8* from, usize size) {
  u64 value = 0;
  if (size == 8) {
    asm volatile("movq (%1), %0" : "=r"(value) : "r"(from) : "memory");
  } else if (size == 4) {
    asm volatile("movl (%1), %k0" : "=r"(value) : "r"(from) : "memory");
  } else {
    asm volatile("movzwl (%1), %k0" : "=r"(value) : "r"(from) : "memory");
  }
  return value;
}

void store_sized(u8* to, u64 value, usize size) {
  if (size == 8) {
    asm volatile("movq %0, (%1)" : : "r"(value), "r"(to) : "memory");
  } else if (size == 4) {
    asm volatile("movl %k0, (%1)" : : "r"(value), "r"(to) : "memory");
  } else {
    asm volatile("movw %w0, (%1)" : : "r"(value), "r"(to) : "memory");
  }
}

usize left_in_page(GuestVirtual at) {
  return page_size - at.page_offset();
}

}  // namespace

Handled<Translation> PagedMemory::translate(GuestVirtual at, Access access, bool user) {
  const unsigned levels = (processor_.read_cr4() & x86::cr4::la57) != 0 ? 5 : 4;
  if (!is_canonical(at.value(), 12 + 9 * levels)) {
    return trouble(Exception{static_cast<u8>(x86::Vector::gp), true, 0});
  }
  u64 entry = processor_.read_cr3();
  u64 rights = pte::write | pte::user;
  bool executable = true;
  unsigned shift = page_shift + 9 * levels;
  do {
    shift -= 9;
    const auto* table = map_.pointer<const u64>(GuestPhysical(entry & pte::address_mask & ~c_bit_));
    entry = read_once<u64>(&table[(at.value() >> shift) & 511]);
    if ((entry & pte::present) == 0) {
      return page_fault(at, 0, access, user);
    }
    rights &= entry;
    executable = executable && (entry & pte::nx) == 0;
  } while (shift > page_shift && (shift > 30 || (entry & pte::large) == 0));
  if ((access == Access::write && (rights & pte::write) == 0) ||
      (access == Access::fetch && !executable) || (user && (rights & pte::user) == 0)) {
    return page_fault(at, pf::present, access, user);
  }
  const u64 offset = mask_bits(shift - 1, 0);
  const u64 frame = entry & pte::address_mask & ~c_bit_ & ~offset;
  return Translation{GuestPhysical(frame | (at.value() & offset)), (entry & c_bit_) != 0};
}

// One access of the operand's size, as a device must see it, if there is such a move; byte by byte
// otherwise. Plain moves: should one raise a #VC, it can be decoded.
void PagedMemory::read(GuestVirtual at, const Translation&, u8* out, usize size) {
  const auto* from = reinterpret_cast<const u8*>(at.value());
  if (size == 8 || size == 4 || size == 2) {
    const u64 value = load_sized(from, size);
    __builtin_memcpy(out, &value, size);
    return;
  }
  for (usize i = 0; i < size; ++i) {
    out[i] = read_once<u8>(from + i);
  }
}

void PagedMemory::write(GuestVirtual at, const Translation&, const u8* in, usize size) {
  auto* to = reinterpret_cast<u8*>(at.value());
  if (size == 8 || size == 4 || size == 2) {
    u64 value = 0;
    __builtin_memcpy(&value, in, size);
    store_sized(to, value, size);
    return;
  }
  for (usize i = 0; i < size; ++i) {
    *const_cast<volatile u8*>(to + i) = in[i];
  }
}

Handled<void> check_memory(VcMemory& memory, GuestVirtual at, usize size, Access access,
                           bool user) {
  for (usize done = 0; done < size;) {
    const auto to = memory.translate(at + done, access, user);
    if (!to) {
      return Failure{to.error()};
    }
    done += left_in_page(at + done);
  }
  return {};
}

namespace {

// act(at, translation, done, piece) for the part in each page, once all of it is allowed.
template <class Act>
Handled<void> for_each_piece(VcMemory& memory, GuestVirtual at, usize size, Access access,
                             bool user, Act act) {
  if (const auto allowed = check_memory(memory, at, size, access, user); !allowed) {
    return allowed;
  }
  for (usize done = 0; done < size;) {
    const usize here = left_in_page(at + done);
    const usize piece = here < size - done ? here : size - done;
    const auto to = memory.translate(at + done, access, user);
    if (!to) {
      return Failure{to.error()};
    }
    act(at + done, *to, done, piece);
    done += piece;
  }
  return {};
}

}  // namespace

Handled<void> read_memory(VcMemory& memory, GuestVirtual at, u8* out, usize size, bool user) {
  return for_each_piece(memory, at, size, Access::read, user,
                        [&](GuestVirtual from, const Translation& t, usize done, usize piece) {
                          memory.read(from, t, out + done, piece);
                        });
}

Handled<void> write_memory(VcMemory& memory, GuestVirtual at, const u8* in, usize size, bool user) {
  return for_each_piece(memory, at, size, Access::write, user,
                        [&](GuestVirtual to, const Translation& t, usize done, usize piece) {
                          memory.write(to, t, in + done, piece);
                        });
}

Handled<usize> fetch_instruction(VcMemory& memory, GuestVirtual rip, u8* out, bool user) {
  usize got = 0;
  while (got < decode::max_instruction_bytes) {
    const GuestVirtual at = rip + got;
    const auto to = memory.translate(at, Access::fetch, user);
    if (!to) {
      // What lies on the page before may be all of it.
      return got != 0 ? Handled<usize>(got) : Handled<usize>(Failure{to.error()});
    }
    const usize here = left_in_page(at);
    const usize wanted = decode::max_instruction_bytes - got;
    const usize piece = here < wanted ? here : wanted;
    memory.read(at, *to, out + got, piece);
    got += piece;
  }
  return got;
}

}  // namespace softsnp::guest
