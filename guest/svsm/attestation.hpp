// What the attestation protocol needs from the platform. Freestanding.
#pragma once

#include "arch/psp/attestation_report.hpp"
#include "arch/svsm/attestation.hpp"
#include "base/types.hpp"

namespace softsnp::svsm {

// The host's certificate table, in the SVSM's memory.
struct Certificates {
  const u8* bytes = nullptr;
  u32 size = 0;
};

struct ReportAnswer {
  enum class Outcome : u8 {
    done,
    needs_room,  // for certificates: see certificates.size
    busy,        // the host throttles: nothing has happened
    refused,     // by the host or the secure processor
  };
  Outcome outcome = Outcome::refused;
  Certificates certificates;
};

// Secure guest messages under VMPCK0.
class Reporter {
 public:
  // A report of VMPL0 with this data; with certificates if room is not 0 (bytes, whole pages).
  virtual ReportAnswer report(const u8 (&report_data)[64], u32 certificates_room,
                              psp::AttestationReport& report) = 0;

 protected:
  Reporter() = default;
  Reporter(const Reporter&) = default;
  Reporter& operator=(const Reporter&) = default;
  ~Reporter() = default;
};

}  // namespace softsnp::svsm
