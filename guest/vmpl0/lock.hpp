// One lock over the SVSM's state: calls of all vCPUs are served one after another.
#pragma once

#include "base/types.hpp"

namespace softsnp::svsm {

class Lock {
 public:
  void acquire() {
    while (__atomic_exchange_n(&held_, u32{1}, __ATOMIC_ACQUIRE) != 0) {
      asm volatile("pause");
    }
  }
  void release() { __atomic_store_n(&held_, u32{0}, __ATOMIC_RELEASE); }

 private:
  u32 held_ = 0;
};

class Locked {
 public:
  explicit Locked(Lock& lock) : lock_(lock) { lock_.acquire(); }
  ~Locked() { lock_.release(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  Lock& lock_;
};

}  // namespace softsnp::svsm
