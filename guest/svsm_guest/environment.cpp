#include "guest/svsm_guest/environment.hpp"

#include "arch/boot/boot_params.hpp"
#include "arch/boot/platform.hpp"
#include "arch/boot/setup_data.hpp"
#include "arch/snp/features.hpp"
#include "arch/svm/exit_code.hpp"
#include "guest/runtime/exceptions.hpp"
#include "guest/runtime/ghcb_setup.hpp"
#include "guest/runtime/page_tables.hpp"
#include "guest/runtime/svsm_validation.hpp"
#include "guest/runtime/termination.hpp"

namespace softsnp::guest {
namespace {

constexpr DirectMap identity{};
alignas(page_size) ghcb::Ghcb ghcb_page;
PageTable spare_tables[16];
ExceptionTables exception_tables;
HardwareProcessor processor;

const psp::SecretsPage* secrets_page(const u8* boot_params) {
  const auto& header = reinterpret_cast<const boot::BootParams*>(boot_params)->header;
  const auto* const node = reinterpret_cast<const boot::CcBlobNode*>(header.setup_data);
  if (node == nullptr || node->header.type != boot::SetupDataType::cc_blob) {
    terminate(processor, Cause::secrets_page_bad);
  }
  const auto* const blob =
      reinterpret_cast<const boot::CcBlob*>(static_cast<u64>(node->cc_blob_address));
  return reinterpret_cast<const psp::SecretsPage*>(blob->secrets_address);
}

GhcbClient set_up_ghcb(SvsmClient& svsm) {
  MsrProtocol msr(processor);
  const Protocol protocol = or_terminate(processor, negotiate(msr, snp_needs));
  static PageTables tables(processor, identity, spare_tables, snp::c_bit);
  SvsmValidation validation(svsm);
  GhcbSetup setup{processor, validation, tables};
  or_terminate(processor, setup.run(ghcb_page, identity.of(&ghcb_page)));
  return {processor, ghcb_page, identity.of(&ghcb_page), protocol.version};
}

}  // namespace

Environment set_up(const u8* boot_params) {
  install_exceptions(exception_tables);
  const SvsmLocation location = or_terminate(processor, find_svsm(*secrets_page(boot_params)));
  static SvsmClient svsm(processor, *identity.pointer<svsm::CallingArea>(location.calling_area),
                         location.calling_area);
  static GhcbClient ghcb = set_up_ghcb(svsm);
  static svsm::Console console(ghcb);
  svsm.use_ghcb(&ghcb);
  return {processor, location, svsm, ghcb, console};
}

void power_off(Environment& environment) {
  using namespace boot::platform;
  const GhcbUse use(environment.ghcb);
  environment.ghcb.begin();
  environment.ghcb.set(ghcb::field::rax, sleep_type_s5 << sleep_type_shift | sleep_enable);
  constexpr u64 out =
      u64{sleep_control_port} << svm::ioio::port_shift | u64{1} << 4 | svm::ioio::addr64;
  (void)environment.ghcb.call(number(svm::ExitCode::ioio), out, 0);
  for (;;) {
    environment.processor.halt();
  }
}

}  // namespace softsnp::guest
