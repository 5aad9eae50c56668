// The secure processor's end of guest messages, as much of it as the runtime's tests need. Sealing
// and opening are OpenSSL's, so that the runtime's cryptography is not its own judge.
#pragma once

#include <openssl/evp.h>

#include "arch/psp/guest_message.hpp"
#include "tests/guest/runtime/simulated_host.hpp"

namespace softsnp::guest {

class FakeFirmware {
 public:
  explicit FakeFirmware(SimulatedHost& host);

  // The key as the guest was given it, and what every report begins with.
  static constexpr u8 key_byte = 0x42;
  u64 counter = 0;
  u32 payload_status = 0;
  u64 certificate_pages = 0;  // needed; the host copies that many
  u64 busy = 0;               // so many times
  u64 asked = 0;              // messages that reached the firmware
  static psp::AttestationReport report_for(const psp::ReportRequest& request);
  static std::array<u8, 32> key_for(const psp::KeyRequest& request);

 private:
  u64 handle(const u8* request, u8* response, ghcb::Ghcb& page, bool extended);
  u64 answer(const u8* request, u8* response);
};

}  // namespace softsnp::guest
