// Guest messages: two reports, certificates, derived keys. What is printed, a test compares.
#include "guest/samples/small/sample.hpp"

namespace softsnp::guest {
namespace {

struct SharedPages {
  alignas(page_size) u8 request[page_size], response[page_size], certificates[4][page_size];
} shared;
alignas(page_size) u8 staging[page_size];

GuestPhysical at(const void* object) {
  return DirectMap{}.of(object);
}

void print_bytes(const char* what, ByteView bytes) {
  print(what, ": ");
  for (const u8 byte : bytes) {
    print(byte < 16 ? "0" : "", LowerHex{byte});
  }
  print("\n");
}

}  // namespace

void run(SmallGuest& guest) {
  auto conversion = guest.conversion();
  guest.must(conversion.make_shared({at(&shared), sizeof shared / page_size}));
  psp::SecretsPage& secrets = *guest.must(guest.boot().secrets());
  GuestMessenger messenger(
      guest.ghcb(), secrets, number(guest.vmpl()),
      {shared.request, at(shared.request), shared.response, at(shared.response), staging,
       shared.certificates[0], at(shared.certificates), 4});
  psp::ReportRequest request{};
  for (u8 i = 0; i < sizeof request.report_data; ++i) {
    request.report_data[i] = i;
  }
  request.vmpl = number(guest.vmpl());
  psp::AttestationReport report;
  const auto first = guest.must(messenger.report(request, report));
  check(guest, "a report", first.end == MessageEnd::done);
  print_bytes("report", {reinterpret_cast<const u8*>(&report), sizeof report});

  const auto extended = guest.must(messenger.extended_report(request, report));
  check(guest, "a report with certificates",
        extended.end == MessageEnd::done || extended.end == MessageEnd::certificates_do_not_fit);
  print("certificate pages needed: ", u64{extended.certificate_pages}, "\n");

  psp::KeyRequest key_request{};
  key_request.guest_field_select = psp::key_field::measurement;
  key_request.vmpl = number(guest.vmpl());
  u8 key[0x20], again[0x20];
  guest.must(messenger.derive_key(key_request, key));
  guest.must(messenger.derive_key(key_request, again));
  check(guest, "the same key twice", __builtin_memcmp(key, again, sizeof key) == 0);
  key_request.guest_field_select = 0;
  guest.must(messenger.derive_key(key_request, again));
  check(guest, "another for other fields", __builtin_memcmp(key, again, sizeof key) != 0);

  request.selection = 3;  // reserved
  const auto refused = guest.must(messenger.report(request, report));
  check(guest, "a reserved selection is refused",
        refused.end == MessageEnd::refused && refused.status == 0x27);
  check(guest, "and costs nothing", messenger.usable());
}

}  // namespace softsnp::guest
