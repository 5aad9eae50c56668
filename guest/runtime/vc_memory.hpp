// How the #VC handler reaches the memory of the code that it works for: translated and checked as
// the instruction's own access would have been.
#pragma once

#include "arch/x86/registers.hpp"
#include "guest/runtime/cause.hpp"
#include "guest/runtime/processor.hpp"

namespace softsnp::guest {

enum class Access : u8 { read, write, fetch };

struct Translation {
  GuestPhysical at;
  bool encrypted;  // C-bit of the mapping
};

class VcMemory {
 public:
  // A failure is a #PF or #GP for the interrupted code.
  virtual Handled<Translation> translate(GuestVirtual at, Access access, bool user) = 0;
  // Of bytes within one page that translate() has allowed.
  virtual void read(GuestVirtual at, const Translation& to, u8* out, usize size) = 0;
  virtual void write(GuestVirtual at, const Translation& to, const u8* in, usize size) = 0;

 protected:
  ~VcMemory() = default;
};

// Walks the page tables of CR3, four or five levels, through the direct map, and accesses the
// virtual addresses themselves. With CR4.SMAP the caller has to set RFLAGS.AC for user memory.
class PagedMemory final : public VcMemory {
 public:
  PagedMemory(Processor& processor, DirectMap map, unsigned c_bit)
      : processor_(processor), map_(map), c_bit_(bit(c_bit)) {}

  Handled<Translation> translate(GuestVirtual at, Access access, bool user) override;
  void read(GuestVirtual at, const Translation& to, u8* out, usize size) override;
  void write(GuestVirtual at, const Translation& to, const u8* in, usize size) override;

 private:
  Processor& processor_;
  DirectMap map_;
  u64 c_bit_;
};

// Across pages. All of the bytes are allowed before the first is touched.
Handled<void> check_memory(VcMemory& memory, GuestVirtual at, usize size, Access access, bool user);
Handled<void> read_memory(VcMemory& memory, GuestVirtual at, u8* out, usize size, bool user);
Handled<void> write_memory(VcMemory& memory, GuestVirtual at, const u8* in, usize size, bool user);
// The instruction at rip: as many bytes as are there, max_instruction_bytes at most.
Handled<usize> fetch_instruction(VcMemory& memory, GuestVirtual rip, u8* out, bool user);

}  // namespace softsnp::guest
