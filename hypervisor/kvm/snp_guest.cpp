#include "hypervisor/kvm/snp_guest.hpp"

#include <cerrno>

#include "arch/psp/policy.hpp"
#include "hypervisor/kvm/error.hpp"

namespace softsnp::kvm {

SnpGuest::~SnpGuest() {
  if (context_created_) {
    psp::SnpGuestContextOnly buffer{context_.value()};
    if (!command(psp::Command::snp_decommission, buffer)) {
      // The firmware still holds the context: its page and the ASID are lost.
      host_.memory.leak(context_, PageSize::size_4k);
      context_ = SystemPhysical(0);
    } else if (asid_ != Asid::host) {
      host_.asids.release(asid_);
    }
  }
  if (context_ != SystemPhysical(0)) {
    host_.rmp.release_firmware(context_);
  }
  if (response_page_ != SystemPhysical(0)) {
    host_.rmp.release_firmware(response_page_);
  }
  if (request_page_ != SystemPhysical(0)) {
    host_.memory.release(request_page_, PageSize::size_4k);
  }
  for (const SystemPhysical vmsa : vmsas_) {
    const bool immutable = host_.rmp.read(vmsa).immutable != 0;
    const auto taken = immutable ? host_.rmp.reclaim(vmsa, PageSize::size_4k)
                                 : host_.rmp.make_hypervisor(vmsa, PageSize::size_4k);
    if (taken) {
      host_.memory.release(vmsa, PageSize::size_4k);
    } else if (!immutable) {
      host_.memory.leak(vmsa, PageSize::size_4k);
    }
  }
}

Result<void, Error> SnpGuest::command(psp::Command id, std::span<u8> buffer) {
  const psp::Status status = host_.psp.command(id, buffer);
  if (status != psp::Status::success) {
    return Failure<Error>{Error{EIO, psp::number(status),
                                std::string(psp::name(id)) + " failed: " + psp::name(status)}};
  }
  return {};
}

// KVM 6.12's policy rules come before the firmware's (firmware sheet 1.7).
Result<void, Error> SnpGuest::start(const LaunchStart& start) {
  constexpr u64 required = psp::policy::smt | psp::policy::reserved_one;
  constexpr u64 allowed = required | psp::policy::debug | mask_bits(15, 0);
  if (stage_ != Stage::none) {
    return fail(EINVAL, "the launch was started before");
  }
  if ((start.policy & required) != required || (start.policy & ~allowed) != 0) {
    return fail(EINVAL, "the guest policy needs bits 16 and 17 and allows besides 15:0 and 19");
  }
  if (auto created = create_context(start.policy); !created) {
    return created;
  }
  if (auto active = activate(); !active) {
    return active;
  }
  stage_ = Stage::started;
  return {};
}

Result<void, Error> SnpGuest::create_context(u64 policy) {
  if (context_ == SystemPhysical(0)) {
    const auto page = host_.rmp.allocate_firmware();
    if (!page) {
      return fail(page.error());
    }
    context_ = *page;
  }
  if (!context_created_) {
    psp::SnpGuestContextOnly create{context_.value()};
    if (auto created = command(psp::Command::snp_gctx_create, create); !created) {
      return created;
    }
    context_created_ = true;
  }
  psp::SnpLaunchStart launch{};
  launch.gctx_paddr = context_.value();
  launch.policy = policy;
  return command(psp::Command::snp_launch_start, launch);
}

Result<void, Error> SnpGuest::activate() {
  const auto asid = host_.asids.allocate(host::AsidKind::encrypted_state);
  if (!asid) {
    return fail(asid.error());
  }
  psp::SnpActivate buffer{context_.value(), number(*asid)};
  psp::Status status = host_.psp.command(psp::Command::snp_activate, buffer);
  if (status == psp::Status::df_flush_required && host_.platform.flush_asids()) {
    status = host_.psp.command(psp::Command::snp_activate, buffer);
  }
  if (status != psp::Status::success) {
    host_.asids.release(*asid);
    return Failure<Error>{
        Error{EIO, psp::number(status), std::string("SNP_ACTIVATE failed: ") + psp::name(status)}};
  }
  asid_ = *asid;
  memory_.set_asid(asid_);
  return {};
}

Result<SystemPhysical, Error> SnpGuest::page_with(std::span<const u8> bytes) {
  const auto page = host_.memory.allocate(PageSize::size_4k);
  if (!page) {
    return fail(ENOMEM, "no memory for a page of the launch");
  }
  host_.memory.store_own(*page, bytes);
  return *page;
}

Result<void, Error> SnpGuest::finish(const LaunchFinish& finish) {
  if (stage_ != Stage::started) {
    return fail(EINVAL, "no launch to finish");
  }
  const bool has_id_block = !finish.id_block.empty();
  if (has_id_block && (finish.id_block.size() != 96 || finish.id_auth.size() != page_size)) {
    return fail(EINVAL, "an ID block has 96 bytes and its authentication 4096");
  }
  psp::SnpLaunchFinish buffer{};
  buffer.gctx_paddr = context_.value();
  buffer.flags = finish.vcek_disabled ? psp::SnpLaunchFinish::vcek_dis : 0;
  std::copy(finish.host_data.begin(), finish.host_data.end(), buffer.host_data);
  std::vector<SystemPhysical> pages;
  if (has_id_block) {
    buffer.flags |= psp::SnpLaunchFinish::id_block_en;
    buffer.flags |= finish.auth_key_enabled ? psp::SnpLaunchFinish::auth_key_en : 0;
    for (const auto* bytes : {&finish.id_block, &finish.id_auth}) {
      const auto page = page_with(*bytes);
      if (!page) {
        return Failure<Error>{page.error()};
      }
      pages.push_back(*page);
    }
    buffer.id_block_paddr = pages[0].value();
    buffer.id_auth_paddr = pages[1].value();
  }
  auto finished = command(psp::Command::snp_launch_finish, buffer);
  for (const SystemPhysical page : pages) {
    host_.memory.release(page, PageSize::size_4k);
  }
  if (finished) {
    stage_ = Stage::finished;
  }
  return finished;
}

Result<u16, Error> SnpGuest::guest_request(std::span<const u8, page_size> request,
                                           std::span<u8, page_size> response) {
  if (request_page_ == SystemPhysical(0)) {
    const auto page = host_.memory.allocate(PageSize::size_4k);
    if (!page) {
      return fail(ENOMEM, "no memory for a guest request");
    }
    request_page_ = *page;
  }
  if (response_page_ == SystemPhysical(0)) {
    const auto page = host_.rmp.allocate_firmware();
    if (!page) {
      return fail(page.error());
    }
    response_page_ = *page;
  }
  host_.memory.store_own(request_page_, request);
  psp::SnpGuestRequest buffer{context_.value(), request_page_.value(), response_page_.value()};
  const psp::Status status = host_.psp.command(psp::Command::snp_guest_request, buffer);
  host_.memory.load_own(response_page_, response);
  return psp::number(status);
}

}  // namespace softsnp::kvm
