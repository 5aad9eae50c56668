// SNP_LAUNCH_FINISH. Firmware sheet 1.6, 5.4.
#include <algorithm>

#include "arch/psp/guest_buffers.hpp"
#include "machine/psp/handlers.hpp"
#include "machine/psp/id_block.hpp"

namespace softsnp::psp {

namespace {

// Reads, checks and takes over the ID block; the context changes only if all of it is good.
Status take_id_block(Firmware& firmware, Request& request, const SnpLaunchFinish& finish) {
  IdBlock block{};
  IdAuth auth{};
  if (!firmware.port.read_value(FirmwarePort::address(finish.id_block_paddr), block) ||
      !firmware.port.read_value(FirmwarePort::address(finish.id_auth_paddr), auth)) {
    return request.fail(Status::invalid_address, "no memory at the ID block or its signatures");
  }
  GuestContext& context = *request.context;
  const bool author = (finish.flags & SnpLaunchFinish::auth_key_en) != 0;
  const IdBlockCheck check =
      check_id_block(block, auth, author, context.launch_digest, context.policy);
  if (check.status != Status::success) {
    return request.fail(check.status, check.detail);
  }
  context.id_block_en = true;
  context.author_key_en = author;
  context.id_block = block;
  context.id_key_digest = key_digest(firmware.sha, auth.id_key);
  if (author) {
    context.author_key_digest = key_digest(firmware.sha, auth.author_key);
  }
  return Status::success;
}

}  // namespace

Status snp_launch_finish(Firmware& firmware, Request& request) {
  const auto finish = request.as<SnpLaunchFinish>();
  if ((finish.flags & SnpLaunchFinish::id_block_en) != 0) {
    const Status status = take_id_block(firmware, request, finish);
    if (status != Status::success) {
      return status;
    }
  }
  GuestContext& context = *request.context;
  std::copy_n(finish.host_data, sizeof finish.host_data, context.host_data.begin());
  context.vcek_dis = (finish.flags & SnpLaunchFinish::vcek_dis) != 0;
  context.state = GuestState::running;
  firmware.state.asids.start_running(context.asid);
  refresh_context_image(firmware, request.context_page, page_size);
  if (firmware.observer != nullptr) {
    firmware.observer->launch_finished(
        {request.context_page, context.asid, context.policy, context.launch_digest});
  }
  return Status::success;
}

}  // namespace softsnp::psp
