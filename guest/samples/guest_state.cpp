#include "guest/samples/guest_state.hpp"

#include "arch/snp/features.hpp"
#include "base/bytes.hpp"
#include "guest/runtime/ghcb_setup.hpp"
#include "guest/runtime/termination.hpp"

namespace softsnp::guest {
namespace {

constexpr DirectMap identity{};
alignas(page_size) ghcb::Ghcb ghcb_page, ghcb_backup;
PageTable spare_tables[16];
HvProcessor the_processor;
Protocol protocol;

}  // namespace

HvProcessor& processor() {
  return the_processor;
}

PageTables& page_tables() {
  static PageTables tables(processor(), identity, spare_tables, snp::c_bit);
  return tables;
}

GhcbClient& ghcb() {
  static GhcbClient client(processor(), ghcb_page, identity.of(&ghcb_page), protocol.version,
                           &ghcb_backup);
  return client;
}

u64 hypervisor_features() {
  return protocol.features;
}

void start_ghcb(bool snp) {
  MsrProtocol msr(processor());
  protocol = or_terminate(processor(), negotiate(msr, snp ? snp_needs : Needs{}));
  DirectValidation validation(processor(), identity);
  GhcbSetup setup{processor(), validation, page_tables(), snp};
  or_terminate(processor(), setup.run(ghcb_page, identity.of(&ghcb_page)));
}

void set_encrypted(const volatile void* at, bool encrypted) {
  or_terminate(processor(), page_tables().set_encrypted({identity.of(at), 1}, encrypted));
}

void set_encrypted_2m(const volatile void* at, bool encrypted) {
  or_terminate(processor(), page_tables().set_encrypted({identity.of(at), 512}, encrypted));
}

u64 change_page_state(u64 gpa, bool large, ghcb::PageOperation operation) {
  struct {
    ghcb::PageStateHeader header;
    ghcb::PageStateEntry entry;
  } request{{0, 0, 0},
            ghcb::PageStateEntry::make(GuestPhysical(gpa), operation,
                                       large ? PageSize::size_2m : PageSize::size_4k)};
  const GhcbUse use(ghcb());
  ghcb().begin();
  ghcb().set_buffer(&request, sizeof request);
  const Reply reply = ghcb().exit(number(ghcb::Event::page_state_change), 0, 0);
  return reply.info1 != 0 ? reply.info1 : reply.info2;
}

}  // namespace softsnp::guest
