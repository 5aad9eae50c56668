// VMPL0's side of alternate injection: the APIC of a lower VMPL, as far as its interrupts go, and
// what the host presents for it in the doorbell page. GHCB sheet 4.4; hardware sheet 6.4, 8.2.
#pragma once

#include "arch/ghcb/doorbell.hpp"
#include "arch/svm/vmsa.hpp"

namespace softsnp::guest {

// 256 vectors.
class VectorSet {
 public:
  void add(u8 vector) { words_[vector / 32] |= 1u << (vector % 32); }
  void remove(u8 vector) { words_[vector / 32] &= ~(1u << (vector % 32)); }
  bool has(u8 vector) const { return has_bit(words_[vector / 32], vector % 32); }
  void add_word(unsigned index, u32 bits) { words_[index] |= bits; }
  u32 word(unsigned index) const { return words_[index]; }
  // 0: none.
  u8 highest() const;

 private:
  u32 words_[8] = {};
};

struct VmplTaken {
  VectorSet edges;
  u8 level = 0;  // to be ended by a specific EOI
  bool nmi = false;
};
// All that the host has presented for a VMPL of 1 to 3, in the order that loses nothing.
VmplTaken take_vmpl_interrupts(ghcb::DoorbellPage& page, unsigned vmpl);

class AlternateApic {
 public:
  void post(u8 vector) { requests_.add(vector); }
  void post_nmi() { nmi_ = true; }

  // The VMPL is about to run: an event now if it takes one, else an interrupt window. Also puts
  // back in place what hardware had to give up half-way, and clears BUSY.
  void present(svm::Vmsa& vmsa);
  // It has run: what it has not taken is pending again.
  void recall(svm::Vmsa& vmsa);
  // The VMPL's EOI; the vector, 0 if none was in service.
  u8 end_of_interrupt();

  u8 in_service() const { return in_service_.highest(); }
  bool pending() const { return nmi_ || requests_.highest() != 0; }

 private:
  VectorSet requests_, in_service_;
  bool nmi_ = false;
  u8 presented_ = 0;  // in EVENTINJ or VINTR_CTRL, and in service already
  bool nmi_presented_ = false;
};

}  // namespace softsnp::guest
