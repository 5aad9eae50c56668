// INIT, INIT_EX, SHUTDOWN, PLATFORM_RESET, PLATFORM_STATUS, GET_ID, NOP of the legacy platform.
// Firmware sheet 7.1, 1.4.
#include <algorithm>

#include "arch/psp/platform_buffers.hpp"
#include "arch/psp/sev_buffers.hpp"
#include "arch/x86/msr.hpp"
#include "machine/psp/sev_handlers.hpp"
#include "machine/psp/sev_identity.hpp"
#include "machine/psp/sev_operands.hpp"

namespace softsnp::psp {

namespace {

namespace msr = x86::msr;

struct Init {
  u16 flags = 0;
  SevTmr tmr;
  std::optional<SystemPhysical> nv;
};

Status check_processor(const Firmware& firmware, Request& request) {
  const u64 syscfg = firmware.platform.msr(0, msr::syscfg);
  if ((syscfg & msr::syscfg_bits::mem_encryption_mod_en) == 0) {
    return request.fail(Status::hwerror_platform, "memory encryption is off");
  }
  if ((syscfg & msr::syscfg_bits::secure_nested_paging_en) != 0 &&
      !firmware.state.rmp_initialised) {
    return request.fail(Status::invalid_platform_state,
                        "SNPEn is set, but the RMP is not initialised");
  }
  return Status::success;
}

// 1 MiB on its boundary; 2 MiB once the RMP is live (firmware sheet 1.4).
Status check_tmr(const Firmware& firmware, Request& request, const SevTmr& tmr) {
  const bool live = firmware.state.platform == PlatformState::init;
  const u64 unit = live ? large_page_size : SevInit::tmr_bytes;
  if (tmr.bytes < unit || !is_aligned(tmr.bytes, unit) || !is_aligned(tmr.base.value(), unit)) {
    return request.fail(Status::invalid_config, "the TMR is too small or not aligned");
  }
  const Status status = check_writable(firmware, request, {tmr.base, tmr.bytes});
  if (status != Status::success) {
    return request.fail(Status::invalid_config, "the TMR is not memory of the firmware",
                        request.pages[0]);
  }
  return Status::success;
}

bool is_fresh(const std::vector<u8>& nv) {
  return std::all_of(nv.begin(), nv.end(), [](u8 byte) { return byte == 0xFF; });
}

// From where INIT(_EX) says; a new one where there is none. A buffer that does not hold this
// chip's data is reset, so that the host's second try succeeds (firmware sheet 1.4).
Status find_identity(Firmware& firmware, Request& request, const Init& init) {
  SevState& sev = firmware.state.sev;
  sev.nv = init.nv;
  if (!init.nv) {
    return save_identity(firmware, request, sev.flash ? *sev.flash : make_sev_identity(firmware));
  }
  const MemoryRange range{*init.nv, SevInitEx::nv_bytes};
  if (is_fresh(read_memory(firmware, range, memory::KeyId::none))) {
    return save_identity(firmware, request, make_sev_identity(firmware));
  }
  sev.identity = load_identity(firmware, *init.nv);
  if (!sev.identity) {
    const std::vector<u8> fresh(SevInitEx::nv_bytes, 0xFF);
    write_memory(firmware, *init.nv, fresh, memory::KeyId::none);
    return request.fail(Status::secure_data_invalid, "the NV buffer is not this chip's");
  }
  return Status::success;
}

Status initialise(Firmware& firmware, Request& request, const Init& init) {
  PspState& state = firmware.state;
  const bool es = (init.flags & SevInit::es) != 0;
  Status status = check_processor(firmware, request);
  if (status == Status::success && es) {
    status = check_tmr(firmware, request, init.tmr);
  }
  if (status == Status::success && init.nv) {
    status = check_writable(firmware, request, {*init.nv, SevInitEx::nv_bytes});
    if (status == Status::success && es && init.tmr.touches(*init.nv, SevInitEx::nv_bytes)) {
      status = request.fail(Status::invalid_address, "the NV buffer lies in the TMR");
    }
  }
  if (status == Status::success) {
    status = find_identity(firmware, request, init);
  }
  if (status != Status::success) {
    return status;
  }
  if (state.platform == PlatformState::uninit) {
    // Nothing is known about the caches. With SNP INIT the ASIDs are followed since SNP_INIT.
    state.asids.set_all_dirty();
    firmware.platform.restart_flush_tracking();
  }
  state.sev.es = es;
  state.sev.tmr = es ? init.tmr : SevTmr{};
  state.sev.platform = SevPlatformState::init;
  return Status::success;
}

}  // namespace

Status sev_init(Firmware& firmware, Request& request) {
  const auto command = request.as<SevInit>();
  return initialise(
      firmware, request,
      {command.flags, {FirmwarePort::address(command.tmr_paddr), command.tmr_len}, std::nullopt});
}

Status sev_init_ex(Firmware& firmware, Request& request) {
  const auto command = request.as<SevInitEx>();
  Init init{command.flags, {FirmwarePort::address(command.tmr_paddr), command.tmr_len}, {}};
  if (command.length != sizeof command) {
    return request.fail(Status::invalid_length, "the buffer's own length is wrong");
  }
  if (command.nv_paddr != SevInitEx::nv_in_flash) {
    init.nv = FirmwarePort::address(command.nv_paddr);
    if (command.nv_len != SevInitEx::nv_bytes) {
      return request.fail(Status::invalid_length, "the NV buffer has another length than 8000h");
    }
    if (!init.nv->is_page_aligned()) {
      return request.fail(Status::invalid_address, "the NV buffer is not page-aligned");
    }
  }
  return initialise(firmware, request, init);
}

// Guests are dropped with their keys, whatever their state.
Status sev_shutdown(Firmware& firmware, Request&) {
  SevState& sev = firmware.state.sev;
  for (auto& [handle, guest] : sev.guests) {
    take_asid(firmware, guest);
  }
  sev.guests.clear();
  sev.checksum_blocks.clear();
  sev.tmr = {};
  sev.es = false;
  sev.nv.reset();
  sev.identity.reset();
  sev.platform = SevPlatformState::uninit;
  return Status::success;
}

Status sev_platform_reset(Firmware& firmware, Request&) {
  firmware.state.sev.flash.reset();
  return Status::success;
}

Status sev_nop(Firmware&, Request&) {
  return Status::success;
}

Status sev_platform_status(Firmware& firmware, Request& request) {
  const SevState& sev = firmware.state.sev;
  SevPlatformStatus status{};
  status.api_major = firmware.config.version.major;
  status.api_minor = firmware.config.version.minor;
  status.state = static_cast<u8>(sev.platform);
  status.owner = sev.identity && sev.identity->externally_owned != 0
                     ? SevPlatformStatus::externally_owned
                     : u8{0};
  status.config_flags = sev.es ? SevPlatformStatus::config_es : u16{0};
  status.build_id = firmware.config.version.build;
  status.guest_count = static_cast<u32>(sev.guests.size());
  request.put(status);
  return Status::success;
}

// One id, or both of a machine with two sockets if the buffer is exactly as long as both.
Status sev_get_id(Firmware& firmware, Request& request) {
  auto command = request.as<SevGetId>();
  if (command.length < SevGetId::id_bytes) {
    command.length = SevGetId::id_bytes;
    request.put(command);
    return request.fail(Status::invalid_length, "the buffer is shorter than the id");
  }
  std::array<u8, 2 * SevGetId::id_bytes> ids{};
  const bool both = command.length == ids.size() && firmware.platform.socket_count() == 2;
  const ChipId& own = firmware.keys.chip().id;
  static_assert(sizeof own == SevGetId::id_bytes);
  std::copy(own.begin(), own.end(), ids.begin());
  const std::span<u8> answer = std::span(ids).first(both ? ids.size() : own.size());
  if (both) {
    derive(firmware.config.seed, RandomStream::chip_id, 1, firmware.sha,
           answer.subspan(own.size()));
  }
  const MemoryRange to = MemoryRange::of(command.paddr, answer.size());
  const Status status = check_writable(firmware, request, to);
  if (status == Status::success) {
    write_memory(firmware, to.at, answer, memory::KeyId::none);
  }
  return status;
}

}  // namespace softsnp::psp
