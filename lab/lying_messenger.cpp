#include "lab/lying_messenger.hpp"

#include <algorithm>

#include "arch/ghcb/events.hpp"
#include "arch/psp/command.hpp"
#include "arch/psp/guest_buffers.hpp"
#include "base/bytes.hpp"
#include "lab/nested_lookup.hpp"

namespace softsnp::lab {
namespace field = ghcb::field;

const LyingMessenger::Lie* LyingMessenger::current() const {
  if (announced_ == 0 || announced_ > lies_.size()) {
    return nullptr;
  }
  const Lie& lie = lies_[announced_ - 1];
  return told_ < lie.times ? &lie : nullptr;
}

// The hypervisor's own copy of the request: the host's page, so it may write there.
void LyingMessenger::alter_request(const Lie& lie, SystemPhysical at) {
  Exchange& exchange = exchanges_.back();
  lie.request(exchange.request, Past(exchanges_.begin(), exchanges_.end() - 1));
  (void)inner_.store(at, exchange.request, PageSize::size_4k).ok();
}

u16 LyingMessenger::psp_command(u32 command, SystemPhysical buffer) {
  if (command != psp::number(psp::Command::snp_guest_request)) {
    return inner_.psp_command(command, buffer);
  }
  u8 bytes[sizeof(psp::SnpGuestRequest)] = {};
  (void)inner_.load(buffer, bytes).ok();
  const auto request = load_le<psp::SnpGuestRequest>(bytes);
  const Lie* lie = current();
  exchanges_.emplace_back();
  Exchange& exchange = exchanges_.back();
  exchange.lie = lie != nullptr ? announced_ : 0;
  exchange.time = inner_.tsc();
  (void)inner_.load(SystemPhysical(request.request_paddr), exchange.request).ok();
  if (lie != nullptr && lie->request) {
    alter_request(*lie, SystemPhysical(request.request_paddr));
  }
  exchange.reached_firmware = lie == nullptr || !lie->status;
  exchange.status = exchange.reached_firmware ? inner_.psp_command(command, buffer) : *lie->status;
  pending_ = lie;
  told_ += lie != nullptr ? 1 : 0;
  response_page_ = SystemPhysical(request.response_paddr);
  return exchange.status;
}

// The response page is the firmware's: nobody else can write there. What lies is the copying.
Result<void, machine::HostFault> LyingMessenger::load(SystemPhysical at, std::span<u8> to) {
  auto loaded = inner_.load(at, to);
  if (!loaded || response_page_ != at || to.size() != page_size) {
    return loaded;
  }
  response_page_.reset();
  Exchange& exchange = exchanges_.back();
  const std::span<u8, page_size> page(to);
  if (pending_ != nullptr && pending_->response) {
    pending_->response(page, Past(exchanges_.begin(), exchanges_.end() - 1));
  }
  std::copy(page.begin(), page.end(), exchange.response.begin());
  return loaded;
}

void LyingMessenger::overwrite_answer() {
  const auto put = [this](unsigned offset, u64 value) {
    u8 bytes[8];
    store_le(bytes, value);
    (void)inner_.store(ghcb_->at + offset, bytes, PageSize::size_4k).ok();
  };
  if (pending_->exit_info2) {
    put(field::sw_exitinfo2, *pending_->exit_info2);
  }
  if (pending_->rbx) {
    put(field::rbx, *pending_->rbx);
  }
}

void LyingMessenger::see_exit(SystemPhysical at) {
  const svm::Vmcb vmcb = read_vmcb(inner_, at);
  ghcb_ = read_ghcb(inner_, vmcb);
  if (const auto number = port_write(inner_, vmcb, sign_)) {
    announced_ = *number & 0xFF;
    told_ = 0;
  }
}

Result<void, machine::HostException> LyingMessenger::vmrun(unsigned core, SystemPhysical vmcb,
                                                           u64 max_instructions) {
  if (pending_ != nullptr && ghcb_) {
    overwrite_answer();
  }
  pending_ = nullptr;
  auto result = inner_.vmrun(core, vmcb, max_instructions);
  if (result) {
    see_exit(vmcb);
  }
  return result;
}

}  // namespace softsnp::lab
