// What the loader's boot_params lead to: command line, secrets page, CPUID page. linux-boot sheet
// 1.7; firmware sheet 3.3.
#pragma once

#include "arch/boot/boot_params.hpp"
#include "arch/boot/setup_data.hpp"
#include "arch/psp/cpuid_page.hpp"
#include "arch/psp/secrets_page.hpp"
#include "guest/runtime/cause.hpp"
#include "guest/runtime/processor.hpp"

namespace softsnp::guest {

class BootInformation {
 public:
  BootInformation(const u8* boot_params, DirectMap map)
      : params_(reinterpret_cast<const boot::BootParams*>(boot_params)), map_(map) {}

  // Ends with a zero; empty if there is none.
  const char* command_line() const;
  // Of "name=value" in the command line, up to a blank or the end; null without it.
  const char* option(const char* name) const;
  // Through the confidential-computing blob.
  Checked<psp::SecretsPage*> secrets() const;
  Checked<const psp::CpuidPage*> cpuid_page() const;

 private:
  const boot::CcBlob* blob() const;

  const boot::BootParams* params_;
  DirectMap map_;
};

// True if text begins with word and the word ends there.
bool is_word(const char* text, const char* word);

}  // namespace softsnp::guest
