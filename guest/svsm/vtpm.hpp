// What the vTPM protocol needs. Freestanding.
#pragma once

#include "arch/svsm/vtpm.hpp"
#include "base/types.hpp"

namespace softsnp::svsm {

class Vtpm {
 public:
  // TPM errors are responses. Never more than max_vtpm_response_bytes; how many there are.
  virtual usize execute(const u8* command, usize bytes, u8* response) = 0;
  // TPMT_PUBLIC of the endorsement key; 0 bytes: there is none.
  virtual usize endorsement_key(u8* to, usize room) = 0;

 protected:
  Vtpm() = default;
  Vtpm(const Vtpm&) = default;
  Vtpm& operator=(const Vtpm&) = default;
  ~Vtpm() = default;
};

}  // namespace softsnp::svsm
