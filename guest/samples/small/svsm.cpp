// Under an SVSM: its location, protocols, a second calling area, page validation by call.
#include "guest/samples/small/sample.hpp"

namespace softsnp::guest {
namespace {

alignas(page_size) svsm::CallingArea own_area;
alignas(page_size) u8 pages[16][page_size];

}  // namespace

void run(SmallGuest& guest) {
  if (guest.vmpl() == Vmpl::vmpl0) {
    print("no SVSM here\n");
    return;
  }
  const DirectMap identity{};
  const auto where = guest.must(find_svsm(*guest.must(guest.boot().secrets())));
  print("SVSM at ", Hex{where.base.value()}, ", ", where.bytes, " bytes\n");
  for (const auto protocol :
       {svsm::Protocol::core, svsm::Protocol::attestation, svsm::Protocol::vtpm}) {
    print("protocol ", name(protocol),
          " version 1: ", guest.must(guest.svsm().offers(protocol, 1)) ? "yes" : "no", "\n");
  }
  check(guest, "the core protocol", guest.must(guest.svsm().offers(svsm::Protocol::core, 1)));

  guest.must(guest.svsm().remap(own_area, identity.of(&own_area)));
  check(guest, "a calling area of our own", &guest.svsm().area() == &own_area);
  guest.svsm().use_ghcb(nullptr);
  check(guest, "by the MSR protocol too", guest.must(guest.svsm().offers(svsm::Protocol::core, 1)));
  guest.svsm().use_ghcb(&guest.ghcb());

  auto conversion = guest.conversion();
  const PageRange range{identity.of(pages), 16};
  guest.must(conversion.make_shared(range));
  guest.must(conversion.make_private(range));
  pages[3][5] = 9;
  check(guest, "pages there and back", pages[3][5] == 9);

  const auto unknown = guest.must(guest.svsm().call(static_cast<svsm::CoreCall>(99)));
  check(guest, "an unknown call", unknown.code == svsm::ResultCode::unsupported_call);
  svsm::Registers crooked;
  crooked.rcx = identity.of(&own_area).value() + 9;
  const auto misaligned = guest.must(guest.svsm().call(svsm::CoreCall::pvalidate, crooked));
  check(guest, "a misaligned list", misaligned.code == svsm::ResultCode::invalid_parameter);
}

}  // namespace softsnp::guest
