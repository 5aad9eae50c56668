// Every processor's GHCB and the pages for messages become shared; the first processor registers
// its own.
#include "arch/snp/features.hpp"
#include "guest/runtime/ghcb_setup.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/vmpl0/processors.hpp"
#include "guest/vmpl0/program.hpp"

namespace softsnp::svsm {
namespace {

alignas(page_size) guest::PageTable spare_tables[2];
constinit MessagePages message_pages{};

void share(Program& program, guest::PageTables& tables, const volatile void* first, u64 bytes) {
  guest::EarlyPageState path(program.processor);
  guest::DirectValidation validation(program.processor, {});
  guest::MemoryConversion conversion(path, validation, tables, guest::PageSizes::small_only);
  or_terminate(program.processor, conversion.make_shared({physical(first), bytes / page_size}));
}

}  // namespace

void set_up_ghcbs(Program& program, const boot::SvsmLaunch& launch) {
  guest::MsrProtocol msr(program.processor);
  program.protocol = or_terminate(
      program.processor,
      guest::negotiate(
          msr, {ghcb::protocol_version_max,
                ghcb::feature::sev_snp | ghcb::feature::ap_creation | ghcb::feature::multi_vmpl}));
  // The tables are needed where the page walk finds them: at their gPA.
  guest::PageTables tables(program.processor, {}, View(&seen_by_host(spare_tables[0]), 2),
                           launch.c_bit);
  share(program, tables, svsm_processors.ghcbs, launch.vcpu_count * page_size);
  share(program, tables, &message_pages, sizeof message_pages);
  or_terminate(program.processor,
               guest::register_ghcb(program.processor, physical(svsm_processors.ghcbs)));
  const auto* const secrets = reinterpret_cast<const psp::SecretsPage*>(launch.secrets);
  program.reporter.start(secrets->vmpck[0], seen_by_host(message_pages), physical(&message_pages));
}

}  // namespace softsnp::svsm
