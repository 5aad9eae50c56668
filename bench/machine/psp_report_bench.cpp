// Attestation reports from the firmware: a sealed request through SNP_GUEST_REQUEST, a signed and
// sealed report back.
#include <benchmark/benchmark.h>

#include "arch/psp/guest_message.hpp"
#include "base/bytes.hpp"
#include "bench/machine/launching_guest.hpp"
#include "machine/psp/aes_gcm.hpp"

namespace softsnp::bench {
namespace {

constexpr SystemPhysical request_at{0x4000};
constexpr SystemPhysical response_at{0x6000};

template <class T>
std::span<const u8> as_bytes(const T& value) {
  return {reinterpret_cast<const u8*>(&value), sizeof value};
}

// What a guest's driver does before it calls.
void put_request(LaunchingGuest& guest, const ReportRequest& asked) {
  const GuestContext& sender = *guest.psp().guest(context);
  GuestMessageHeader header{};
  header.sequence_number = sender.message_count[0] + 1;
  header.algorithm = header.header_version = header.message_version = 1;
  header.header_size = sizeof header;
  header.message_type = number(MessageType::report_request);
  header.message_size = sizeof asked;
  std::vector<u8> payload(as_bytes(asked).begin(), as_bytes(asked).end());
  std::array<u8, 12> iv{};
  store_le(iv.data(), header.sequence_number);
  const GcmTag tag = gcm_seal(
      {sender.vmpck[0], iv, as_bytes(header).subspan(GuestMessageHeader::authenticated_from)},
      payload);
  std::copy(tag.begin(), tag.end(), header.auth_tag);
  guest.dram().write(request_at, memory::KeyId::none, as_bytes(header));
  guest.dram().write(request_at + sizeof header, memory::KeyId::none, payload);
}

void report(benchmark::State& state) {
  LaunchingGuest guest;
  SnpLaunchFinish finish{};
  finish.gctx_paddr = context.value();
  guest.run(Command::snp_launch_finish, finish);
  guest.assign(response_at, 0, Asid::host, PageSize::size_4k);
  const SnpGuestRequest call{context.value(), request_at.value(), response_at.value()};
  ReportRequest asked{};
  for (auto _ : state) {
    ++asked.report_data[0];
    put_request(guest, asked);
    guest.run(Command::snp_guest_request, call);
  }
  if (!guest.good()) {
    state.SkipWithError("refused");
  }
  state.SetItemsProcessed(static_cast<i64>(state.iterations()));
}
BENCHMARK(report);

}  // namespace
}  // namespace softsnp::bench
