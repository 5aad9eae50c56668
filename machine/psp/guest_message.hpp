// A guest's message once it is opened, and what answers it. Firmware sheet 4.3.
#pragma once

#include <algorithm>
#include <array>
#include <optional>

#include "arch/psp/guest_message.hpp"
#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

// Zeros follow the request: a message shorter than its type is read as if it went on with zeros
// (the firmware does not compare MSG_SIZE with the type).
struct GuestMessage {
  MessageType type{};
  u8 version = 0;
  u8 vmpck = 0;
  usize request_bytes = 0;
  std::array<u8, max_message_bytes> request{};
  usize response_bytes = 0;
  std::array<u8, max_message_bytes> response{};
  // EXPORT: this guest, maybe the sender, ends once it has its answer.
  std::optional<SystemPhysical> ends{};
  // ABSORB_NOMA: the sender's message counts are those of the guest it has become.
  bool counts_replaced = false;

  template <class T>
  T as() const {
    static_assert(sizeof(T) <= max_message_bytes);
    return load_le<T>(request.data());
  }
  template <class T>
  void answer(const T& value) {
    static_assert(sizeof(T) <= max_message_bytes && sizeof(T) % message_granule == 0);
    response_bytes = sizeof value;
    store_le(response.data(), value);
  }
  bool zero(usize offset, usize bytes) const {
    const auto* from = request.data() + offset;
    return std::all_of(from, from + bytes, [](u8 byte) { return byte == 0; });
  }
};

// The sender's context is the request's. Errors go into the response's STATUS.
using MessageHandler = void (*)(Firmware&, Request&, GuestMessage&);

// report_message.cpp
void answer_report(Firmware&, Request&, GuestMessage&);
// key_message.cpp
void answer_key(Firmware&, Request&, GuestMessage&);
// information_messages.cpp
void answer_cpuid(Firmware&, Request&, GuestMessage&);
void answer_tsc_info(Firmware&, Request&, GuestMessage&);
// migration_messages.cpp
void answer_export(Firmware&, Request&, GuestMessage&);
void answer_import(Firmware&, Request&, GuestMessage&);
void answer_absorb(Firmware&, Request&, GuestMessage&);
void answer_absorb_noma(Firmware&, Request&, GuestMessage&);
void answer_vmrk(Firmware&, Request&, GuestMessage&);

// SNP_FEATURE_INFO, leaf 1: CPUID, KEY, REPORT, EXPORT, IMPORT, ABSORB, VMRK, ABSORB_NOMA, TSC_INFO
// (firmware sheet 1.6).
inline constexpr u32 guest_message_features = 0x1FF;

}  // namespace softsnp::psp
