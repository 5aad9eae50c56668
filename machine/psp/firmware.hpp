// The inside of the secure processor, as its command handlers see it.
#pragma once

#include "machine/psp/firmware_port.hpp"
#include "machine/psp/platform_view.hpp"
#include "machine/psp/signing_keys.hpp"
#include "machine/psp/state.hpp"

namespace softsnp::psp {

struct Firmware {
  PspConfig config;
  PspState state;
  FirmwarePort port;
  PlatformView& platform;
  Observer* observer;
  Sha384 sha;
  SigningKeys keys;
  P384 p384;

  TcbVersion encode(const TcbComponents& tcb) const { return encode_tcb(config.product, tcb); }
};

// A command on its way through the checks. bytes is the buffer as copied in; the handler works on
// the copy. Zeros follow the buffer so that eight bytes can be looked at from any offset.
struct Request {
  static constexpr usize max_bytes = 0x44;
  Command command{};
  SystemPhysical buffer;
  u8 bytes[max_bytes + 8] = {};
  SystemPhysical context_page;
  GuestContext* context = nullptr;
  u32 handle = 0;  // of a legacy guest
  SevGuest* sev_guest = nullptr;
  PageView pages[3];  // one an operand of the row; the last: of a metadata entry
  const PageView* named_page = nullptr;
  const char* detail = "";

  template <class T>
  void put(const T& value) {
    static_assert(sizeof(T) <= max_bytes);
    store_le(bytes, value);
  }
  template <class T>
  T as() const {
    static_assert(sizeof(T) <= max_bytes);
    return load_le<T>(bytes);
  }
  u64 field(unsigned offset) const { return load_le<u64>(bytes + offset); }
  SystemPhysical address(unsigned offset) const { return FirmwarePort::address(field(offset)); }

  Status fail(Status status, const char* why) {
    detail = why;
    return status;
  }
  Status fail(Status status, const char* why, const PageView& page) {
    named_page = &page;
    return fail(status, why);
  }
};

// Writes what the host sees of a context into its page: noise, different each time.
// bytes: how much of the page changes with the context.
void refresh_context_image(Firmware& firmware, SystemPhysical context_page, usize bytes);

}  // namespace softsnp::psp
