// SNP_LAUNCH_START. Firmware sheet 1.6, 1.7.
#include <algorithm>

#include "arch/psp/guest_buffers.hpp"
#include "machine/psp/handlers.hpp"

namespace softsnp::psp {

namespace {

// The conditions of POLICY_FAILURE in the sheet's order; null if the policy is acceptable. agent
// is null without MA_EN.
const char* policy_problem(const Firmware& firmware, u64 value, const GuestContext* agent) {
  if (agent != nullptr && (value & policy::migrate_ma) == 0) {
    return "MA_EN without POLICY.MIGRATE_MA";
  }
  if (agent != nullptr && agent->has_migration_agent) {
    return "the migration agent has a migration agent itself";
  }
  if ((value & policy::reserved_one) == 0) {
    return "POLICY bit 17 must be one";
  }
  if ((value & policy::smt) == 0 && firmware.platform.smt_enabled()) {
    return "POLICY forbids SMT, and SMT is on";
  }
  if (policy::abi(value) > firmware.config.version.abi()) {
    return "POLICY asks for a newer firmware ABI";
  }
  if ((value & (firmware.config.page_swap_disable ? policy::reserved_with_page_swap_disable
                                                  : policy::reserved_in_1_55)) != 0) {
    return "reserved POLICY bits are set";
  }
  if (agent != nullptr && (value & policy::single_socket) != 0 &&
      (agent->policy & policy::single_socket) == 0) {
    return "POLICY.SINGLE_SOCKET, but not that of the migration agent";
  }
  return nullptr;
}

const GuestContext* find_agent(const Firmware& firmware, SystemPhysical page) {
  const auto found = firmware.state.guests.find(page);
  return found != firmware.state.guests.end() && firmware.port.state(page) == PageState::context
             ? &found->second
             : nullptr;
}

void draw_identity(Firmware& firmware, GuestContext& context) {
  Drbg& drbg = firmware.state.drbg;
  draw(drbg, firmware.sha, context.oek);
  for (Key256& key : context.vmpck) {
    draw(drbg, firmware.sha, key);
  }
  draw(drbg, firmware.sha, context.vmrk);
  draw(drbg, firmware.sha, context.report_id);
}

}  // namespace

Status snp_launch_start(Firmware& firmware, Request& request) {
  const auto start = request.as<SnpLaunchStart>();
  const GuestContext* agent = nullptr;
  if ((start.flags & SnpLaunchStart::ma_en) != 0) {
    agent = find_agent(firmware, FirmwarePort::address(start.ma_gctx_paddr));
    if (agent == nullptr) {
      return request.fail(Status::invalid_guest, "the migration agent's page is not CONTEXT");
    }
  }
  if (const char* problem = policy_problem(firmware, start.policy, agent); problem != nullptr) {
    return request.fail(Status::policy_failure, problem);
  }
  GuestContext& context = *request.context;
  context.policy = start.policy;
  context.imi_en = (start.flags & SnpLaunchStart::imi_en) != 0;
  context.desired_tsc_khz = start.desired_tsc_khz;
  std::copy_n(start.gosvw, sizeof start.gosvw, context.gosvw.begin());
  draw_identity(firmware, context);
  context.has_migration_agent = agent != nullptr;
  if (agent != nullptr) {
    context.report_id_ma = agent->report_id;
  } else {
    context.report_id_ma.fill(0xFF);
  }
  context.state = GuestState::launch;
  ++firmware.state.guest_count;
  refresh_context_image(firmware, request.context_page, page_size);
  return Status::success;
}

}  // namespace softsnp::psp
