// SNP_INIT and SNP_INIT_EX. Firmware sheet 1.6 (SNP_INIT_EX).
#include "arch/psp/platform_buffers.hpp"
#include "machine/psp/handlers.hpp"
#include "machine/psp/platform_checks.hpp"
#include "machine/psp/range_list.hpp"

namespace softsnp::psp {

namespace {

// Below 1 TiB, reserved for HyperTransport on every part.
constexpr PageRange hypertransport{SystemPhysical(0xFD00000000), 0x300000000 >> page_shift};

std::vector<PageRange> fixed_ranges(const PlatformView& platform,
                                    const std::vector<PageRange>& list) {
  std::vector<PageRange> ranges = list;
  const SmmRanges smm = smm_ranges(platform);
  ranges.push_back({smm.aseg.base, smm.aseg.bytes >> page_shift});
  ranges.push_back({smm.tseg.base, smm.tseg.bytes >> page_shift});
  ranges.push_back(hypertransport);
  return ranges;
}

snp::RmpEntry initial_entry(const FirmwarePort& port, const std::vector<PageRange>& fixed,
                            SystemPhysical page) {
  if (port.touches_rmp(page, page_size)) {
    return firmware_entry();
  }
  if (!port.in_dram(page, page_size)) {
    return hv_fixed_entry();
  }
  for (const PageRange& range : fixed) {
    if (range.contains(page)) {
      return hv_fixed_entry();
    }
  }
  return {};
}

// Entries that already are what they shall be stay untouched: almost all are zero after the OS
// cleared the RMP. This machine has no IOMMU tables to protect (FIRMWARE_IOMMU).
void initialise_rmp(Firmware& firmware, const std::vector<PageRange>& list, Command command) {
  const std::vector<PageRange> fixed = fixed_ranges(firmware.platform, list);
  const memory::Rmp& rmp = firmware.port.rmp();
  for (SystemPhysical page(0); rmp.covered(page); page = page + page_size) {
    const snp::RmpEntry entry = initial_entry(firmware.port, fixed, page);
    snp::RmpEntry now = rmp.entry(page);
    now.set_sub_page_count(0);  // kept by the RMP itself
    if (now != entry) {
      firmware.port.write_entry(page, entry, command);
    }
  }
  firmware.state.guests.clear();
  firmware.state.guest_count = 0;
}

Status initialise(Firmware& firmware, Request& request, const SnpInitEx& init) {
  PspState& state = firmware.state;
  const bool init_rmp = (init.flags & SnpInitEx::init_rmp) != 0;
  const TcbVersion tcb = encode_tcb(firmware.config.product, state.current_tcb);
  if (!init_rmp && (!state.rmp_initialised || state.rmp_tcb != tcb)) {
    return request.fail(Status::rmp_init_required,
                        "the RMP was never initialised by this firmware");
  }
  const ConfigCheck config = check_platform_config(firmware.platform, init_rmp);
  if (config.status != Status::success) {
    return request.fail(config.status, config.detail);
  }
  const memory::Rmp& rmp = firmware.port.rmp();
  if (!firmware.port.in_dram(rmp.base(), rmp.end() - rmp.base() + 1)) {
    return request.fail(Status::invalid_config, "the RMP does not lie in DRAM");
  }
  std::optional<std::vector<PageRange>> list{std::vector<PageRange>{}};
  if ((init.flags & SnpInitEx::list_paddr_en) != 0) {
    list = read_range_list(firmware.port, FirmwarePort::address(init.list_paddr), page_size);
  }
  if (!list) {
    return request.fail(Status::rmp_initialization_failed, "the list of fixed ranges is malformed");
  }
  if (init_rmp) {
    initialise_rmp(firmware, *list, request.command);
    state.rmp_initialised = true;
    state.rmp_tcb = tcb;
  }
  state.asids.set_all_dirty();
  firmware.platform.restart_flush_tracking();
  state.platform = PlatformState::init;
  return Status::success;
}

}  // namespace

Status snp_init(Firmware& firmware, Request& request) {
  SnpInitEx init{};
  init.flags = SnpInitEx::init_rmp;
  return initialise(firmware, request, init);
}

Status snp_init_ex(Firmware& firmware, Request& request) {
  return initialise(firmware, request, request.as<SnpInitEx>());
}

}  // namespace softsnp::psp
