// The CPUID and TSC_INFO messages. Firmware sheet 3.2, 4.3.
#include <algorithm>

#include "arch/psp/secrets_page.hpp"
#include "machine/psp/cpuid_policy.hpp"
#include "machine/psp/guest_message.hpp"
#include "machine/psp/vmsa_protection.hpp"

namespace softsnp::psp {

// The list goes back as it came, corrected where a value is outside of policy.
void answer_cpuid(Firmware& firmware, Request&, GuestMessage& message) {
  const auto asked = message.as<CpuidRequest>();
  CpuidResponse response{};
  message.response = message.request;
  message.response_bytes = message.request_bytes;
  bool good = asked.count <= CpuidPage::max_count && asked.mbz_04 == 0 && asked.mbz_08 == 0;
  if (good) {
    for (; response.count < asked.count; ++response.count) {
      u8* const at =
          message.response.data() + sizeof response + response.count * sizeof(CpuidEntry);
      auto entry = load_le<CpuidEntry>(at);
      good = check_cpuid_entry(entry, firmware.platform) && good;
      store_le(at, entry);
    }
  }
  response.status =
      static_cast<u32>(good ? MessageStatus::success : MessageStatus::invalid_parameters);
  store_le(message.response.data(), response);
}

void answer_tsc_info(Firmware& firmware, Request& request, GuestMessage& message) {
  TscInfoResponse response{};
  if (message.zero(0, sizeof(TscInfoRequest))) {
    response.guest_tsc_scale =
        tsc_scale(request.context->desired_tsc_khz, firmware.platform.reference_tsc_khz());
    response.tsc_factor = genoa_tsc_factor;
  } else {
    response.status = static_cast<u32>(MessageStatus::invalid_parameters);
  }
  message.answer(response);
}

}  // namespace softsnp::psp
