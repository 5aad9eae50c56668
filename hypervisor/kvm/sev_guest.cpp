#include "hypervisor/kvm/sev_guest.hpp"

#include <cerrno>

#include "arch/psp/sev_buffers.hpp"
#include "arch/psp/sev_policy.hpp"
#include "arch/svm/vmsa.hpp"
#include "hypervisor/kvm/error.hpp"

namespace softsnp::kvm {

SevGuest::~SevGuest() {
  psp::SevHandleOnly buffer{handle_};
  if (asid_ != Asid::host && command(psp::Command::deactivate, buffer)) {
    host_.asids.release(asid_);
  }
  if (handle_ != 0) {
    (void)command(psp::Command::decommission, buffer).ok();
  }
  for (const SystemPhysical vmsa : vmsas_) {
    host_.memory.release(vmsa, PageSize::size_4k);
  }
}

Result<void, Error> SevGuest::expect(Stage stage) const {
  return stage_ == stage ? Result<void, Error>()
                         : fail(EINVAL, "not the time for that launch command");
}

Result<void, Error> SevGuest::command(psp::Command id, std::span<u8> buffer) {
  const psp::Status status = host_.sev.command(id, buffer);
  if (status != psp::Status::success) {
    return Failure<Error>{Error{EIO, psp::number(status),
                                std::string(psp::name(id)) + " failed: " + psp::name(status)}};
  }
  return {};
}

// A page that does not come back is leaked by reclaim(); what the guest has there is lost.
template <class Buffer>
Result<void, Error> SevGuest::command_on(SystemPhysical page, psp::Command id, Buffer& buffer) {
  if (!host_.platform.snp_enabled()) {
    return command(id, buffer);
  }
  if (auto given = host_.rmp.make_firmware(page); !given) {
    return fail(given.error());
  }
  auto done = command(id, buffer);
  if (auto taken = host_.rmp.reclaim(page, PageSize::size_4k); !taken) {
    return fail(taken.error());
  }
  return done;
}

Result<SystemPhysical, Error> SevGuest::page_with(std::span<const u8> bytes) {
  if (bytes.size() > page_size) {
    return fail(EINVAL, "at most one page of input");
  }
  const auto page = host_.memory.allocate(PageSize::size_4k);
  if (!page) {
    return fail(ENOMEM, "no memory for a page of the launch");
  }
  host_.memory.store_own(*page, bytes);
  return *page;
}

Result<void, Error> SevGuest::start(const SevLaunchStart& start) {
  if (auto time = expect(Stage::none); !time) {
    return time;
  }
  const bool wants_es = (start.policy & psp::sev_policy::es) != 0;
  if (wants_es != (type_ == VmType::sev_es)) {
    return fail(EINVAL, "the policy's ES bit and the VM's type disagree");
  }
  if (start.session.empty() != start.dh_certificate.empty()) {
    return fail(EINVAL, "a session needs the owner's certificate, and the other way round");
  }
  if (auto launched = launch(start); !launched) {
    return launched;
  }
  if (auto active = activate(); !active) {
    return active;
  }
  stage_ = Stage::started;
  return {};
}

Result<void, Error> SevGuest::launch(const SevLaunchStart& start) {
  psp::SevLaunchStart buffer{};
  buffer.policy = start.policy;
  std::vector<SystemPhysical> pages;
  if (!start.session.empty()) {
    for (const auto* bytes : {&start.dh_certificate, &start.session}) {
      const auto page = page_with(*bytes);
      if (!page) {
        return Failure<Error>{page.error()};
      }
      pages.push_back(*page);
    }
    buffer.dh_cert_paddr = pages[0].value();
    buffer.dh_cert_len = static_cast<u32>(start.dh_certificate.size());
    buffer.session_paddr = pages[1].value();
    buffer.session_len = static_cast<u32>(start.session.size());
  }
  auto done = command(psp::Command::launch_start, buffer);
  for (const SystemPhysical page : pages) {
    host_.memory.release(page, PageSize::size_4k);
  }
  handle_ = done ? buffer.handle : 0;
  return done;
}

Result<void, Error> SevGuest::activate() {
  const auto kind =
      type_ == VmType::sev_es ? host::AsidKind::encrypted_state : host::AsidKind::sev_only;
  const auto asid = host_.asids.allocate(kind);
  if (!asid) {
    return fail(asid.error());
  }
  psp::SevActivate buffer{handle_, number(*asid)};
  if (auto active = command(psp::Command::activate, buffer); !active) {
    host_.asids.release(*asid);
    return active;
  }
  asid_ = *asid;
  memory_.set_asid(asid_);
  return {};
}

Result<void, Error> SevGuest::update(GuestPhysical gpa, u64 length) {
  if (auto time = expect(Stage::started); !time) {
    return time;
  }
  GuestPhysical end = gpa;
  if (!gpa.is_page_aligned() || !is_aligned(length, page_size) || length == 0 ||
      !end.checked_add(length)) {
    return fail(EINVAL, "a launch update takes whole pages");
  }
  for (; gpa < end; gpa = gpa + page_size) {
    const auto page = memory_.page_behind(gpa);
    if (!page) {
      return Failure<Error>{page.error()};
    }
    psp::SevLaunchUpdate buffer{handle_, 0, page->value(), static_cast<u32>(page_size)};
    if (auto done = command_on(*page, psp::Command::launch_update_data, buffer); !done) {
      return done;
    }
  }
  return {};
}

Result<SystemPhysical, Error> SevGuest::add_vmsa(const svm::Vmsa& state) {
  if (auto time = expect(Stage::started); !time) {
    return Failure<Error>{time.error()};
  }
  auto page = page_with({state.raw, sizeof state.raw});
  if (!page) {
    return page;
  }
  vmsas_.push_back(*page);
  psp::SevLaunchUpdate buffer{handle_, 0, page->value(), static_cast<u32>(page_size)};
  if (auto done = command_on(*page, psp::Command::launch_update_vmsa, buffer); !done) {
    return Failure<Error>{done.error()};
  }
  return page;
}

Result<std::array<u8, SevGuest::measurement_bytes>, Error> SevGuest::measure() {
  if (auto time = expect(Stage::started); !time) {
    return Failure<Error>{time.error()};
  }
  const auto page = page_with({});
  if (!page) {
    return Failure<Error>{page.error()};
  }
  std::array<u8, SevGuest::measurement_bytes> measurement{};
  psp::SevLaunchUpdate buffer{handle_, 0, page->value(), static_cast<u32>(measurement.size())};
  auto done = command_on(*page, psp::Command::launch_measure, buffer);
  host_.memory.load_own(*page, measurement);
  host_.memory.release(*page, PageSize::size_4k);
  if (!done) {
    return Failure<Error>{done.error()};
  }
  stage_ = Stage::measured;
  return measurement;
}

Result<void, Error> SevGuest::secret(GuestPhysical gpa, std::span<const u8> header,
                                     std::span<const u8> packet) {
  if (auto time = expect(Stage::measured); !time) {
    return time;
  }
  if (packet.empty() || gpa.page_offset() + packet.size() > page_size) {
    return fail(EINVAL, "a secret lies within one page");
  }
  const auto target = memory_.page_behind(gpa.page());
  if (!target) {
    return Failure<Error>{target.error()};
  }
  std::vector<SystemPhysical> pages;
  for (const auto bytes : {header, packet}) {
    const auto page = page_with(bytes);
    if (!page) {
      return Failure<Error>{page.error()};
    }
    pages.push_back(*page);
  }
  psp::SevPacket buffer{};
  buffer.handle = handle_;
  buffer.header_paddr = pages[0].value();
  buffer.header_len = static_cast<u32>(header.size());
  buffer.guest_paddr = (*target + gpa.page_offset()).value();
  buffer.guest_len = buffer.trans_len = static_cast<u32>(packet.size());
  buffer.trans_paddr = pages[1].value();
  auto done = command_on(*target, psp::Command::launch_secret, buffer);
  for (const SystemPhysical page : pages) {
    host_.memory.release(page, PageSize::size_4k);
  }
  return done;
}

// KVM lets user space leave LAUNCH_MEASURE out; the firmware does not.
Result<void, Error> SevGuest::finish() {
  if (auto time = expect(Stage::measured); !time) {
    return time;
  }
  psp::SevHandleOnly buffer{handle_};
  auto done = command(psp::Command::launch_finish, buffer);
  if (done) {
    stage_ = Stage::finished;
  }
  return done;
}

Result<void, Error> SevGuest::debug_read(GuestPhysical gpa, std::span<u8> to) {
  const auto source = memory_.page_behind(gpa.page());
  const auto bounce = page_with({});
  if (!source || !bounce) {
    return Failure<Error>{source ? bounce.error() : source.error()};
  }
  psp::SevDebug buffer{handle_, 0, (*source + gpa.page_offset()).value(), bounce->value(),
                       static_cast<u32>(to.size())};
  auto done = command_on(*bounce, psp::Command::dbg_decrypt, buffer);
  if (done && to.size() <= page_size) {
    host_.memory.load_own(*bounce, to);
  }
  host_.memory.release(*bounce, PageSize::size_4k);
  return done;
}

Result<void, Error> SevGuest::debug_write(GuestPhysical gpa, std::span<const u8> from) {
  const auto target = memory_.page_behind(gpa.page());
  if (!target) {
    return Failure<Error>{target.error()};
  }
  const auto bounce = page_with(from);
  if (!bounce) {
    return Failure<Error>{bounce.error()};
  }
  psp::SevDebug buffer{handle_, 0, bounce->value(), (*target + gpa.page_offset()).value(),
                       static_cast<u32>(from.size())};
  auto done = command_on(*target, psp::Command::dbg_encrypt, buffer);
  host_.memory.release(*bounce, PageSize::size_4k);
  return done;
}

}  // namespace softsnp::kvm
