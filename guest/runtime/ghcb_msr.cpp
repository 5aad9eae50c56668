#include "guest/runtime/ghcb_msr.hpp"

namespace softsnp::guest {

namespace field = ghcb::field;

Handled<u64> edx_eax(const GhcbClient& client) {
  const auto low = client.answer(field::rax);
  const auto high = client.answer(field::rdx);
  if (!low || !high) {
    return trouble(Cause::answer_incomplete);
  }
  return u64{static_cast<u32>(*low)} | *high << 32;
}

Handled<u64> read_msr(GhcbClient& client, u32 msr) {
  const GhcbUse use(client);
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  client.begin();
  client.set(field::rcx, msr);
  if (const auto done = client.call(number(ghcb::Event::msr), 0, 0); !done) {
    return Failure<Trouble>{done.error()};
  }
  return edx_eax(client);
}

Handled<void> write_msr(GhcbClient& client, u32 msr, u64 value) {
  const GhcbUse use(client);
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  client.begin();
  client.set(field::rcx, msr);
  client.set(field::rax, static_cast<u32>(value));
  client.set(field::rdx, value >> 32);
  const auto done = client.call(number(ghcb::Event::msr), 1, 0);
  return done ? Handled<void>() : Failure<Trouble>{done.error()};
}

}  // namespace softsnp::guest
