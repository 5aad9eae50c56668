// Zero-filled host memory that is reserved and not committed: a page costs nothing until written.
#pragma once

#include "base/types.hpp"

namespace softsnp::memory {

class Reservation {
 public:
  explicit Reservation(u64 bytes);
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation();

  u8* data() const { return data_; }
  u64 size() const { return size_; }
  // [offset, offset + bytes) reads as zeros again and its host memory is given back. Both are
  // multiples of page_size and inside the reservation.
  void discard(u64 offset, u64 bytes);

 private:
  u8* data_;
  u64 size_;
};

}  // namespace softsnp::memory
