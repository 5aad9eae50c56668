#include "machine/memory/dram/reservation.hpp"

#include <sys/mman.h>

#include "base/bits.hpp"
#include "machine/memory/dram/invariant.hpp"

namespace softsnp::memory {

Reservation::Reservation(u64 bytes) : data_(nullptr), size_(align_up(bytes, page_size)) {
  void* at = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) {
    broken_invariant("the host cannot reserve address space for DRAM; bytes asked for", size_);
  }
  // Resident memory has to follow what the machine touches: a transparent huge page would commit
  // 2 MiB for one touched frame. A host without them refuses the advice, which is as good.
  static_cast<void>(madvise(at, size_, MADV_NOHUGEPAGE));
  data_ = static_cast<u8*>(at);
}

Reservation::~Reservation() {
  munmap(data_, size_);
}

void Reservation::discard(u64 offset, u64 bytes) {
  if (madvise(data_ + offset, bytes, MADV_DONTNEED) != 0) {
    broken_invariant("madvise(MADV_DONTNEED) failed at offset", offset);
  }
}

}  // namespace softsnp::memory
