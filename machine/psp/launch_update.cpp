// SNP_LAUNCH_UPDATE. Firmware sheet 1.6, 2.1, 3.
#include <algorithm>
#include <array>

#include "arch/psp/secrets_page.hpp"
#include "arch/snp/features.hpp"
#include "machine/psp/cpuid_policy.hpp"
#include "machine/psp/handlers.hpp"
#include "machine/psp/launch_digest.hpp"
#include "machine/psp/vmsa_protection.hpp"

namespace softsnp::psp {

namespace {

struct Update {
  SystemPhysical page;
  PageSize size = PageSize::size_4k;
  PageType type = PageType::normal;
  bool imi = false;
  MeasuredPage measured;
};

Update decode(const Request& request) {
  const auto command = request.as<SnpLaunchUpdate>();
  Update update;
  update.page = request.pages[0].at;
  update.size = request.pages[0].size;
  update.type = static_cast<PageType>(get_bits(command.flags, 3, 1));
  update.imi = (command.flags & SnpLaunchUpdate::imi_page) != 0;
  update.measured.type = update.type;
  update.measured.imi = update.imi;
  std::copy_n(command.vmpl_permissions, 3, update.measured.vmpl_permissions);
  update.measured.gpa = request.pages[0].entry.gpa();
  return update;
}

u8* raw_frame(Firmware& firmware, SystemPhysical page) {
  return firmware.port.dram().frame(page, memory::KeyId::none);
}

// Both chains advance by all 4 KiB pages of the update.
void measure(Firmware& firmware, GuestContext& context, const Update& update) {
  MeasuredPage page = update.measured;
  for (u64 offset = 0; offset < bytes(update.size); offset += page_size) {
    Digest contents;
    if (update.type == PageType::normal || update.type == PageType::vmsa) {
      contents = page_contents(firmware.sha, update.type,
                               {raw_frame(firmware, update.page + offset), page_size});
    }
    context.launch_digest = extend_digest(firmware.sha, context.launch_digest, contents, page);
    if (update.imi) {
      context.imi_digest = extend_digest(firmware.sha, context.imi_digest, contents, page);
    }
    page.gpa = page.gpa + page_size;
  }
}

// Step (c) of the sheet first, so that the protection of (a) covers what the guest will run with.
// 380h, 388h, 2F0h and 2F8h are outside the tweak bitmap, so the order cannot be seen.
void finish_vmsa(Firmware& firmware, const GuestContext& context, SystemPhysical page) {
  u8* const frame = raw_frame(firmware, page);
  auto vmsa = load_le<svm::Vmsa>(frame);
  vmsa.reserved_380 = 0;
  vmsa.checksum_address = ~u64{0};
  if ((vmsa.sev_features & snp::feature::secure_tsc) != 0) {
    vmsa.guest_tsc_scale =
        tsc_scale(context.desired_tsc_khz, firmware.platform.reference_tsc_khz());
    vmsa.guest_tsc_offset = 0;
  }
  if (register_protected(vmsa)) {
    u8 nonce[8];
    draw(firmware.state.drbg, firmware.sha, nonce);
    vmsa.reg_prot_nonce = load_le<u64>(nonce);
    apply_register_protection(vmsa, genoa_tweak_bitmap);
  }
  store_le(frame, vmsa);
}

void write_secrets(Firmware& firmware, const GuestContext& context, SystemPhysical page) {
  SecretsPage secrets{};
  secrets.version = SecretsPage::version_1_55;
  secrets.flags = context.imi_en ? SecretsPage::flag_imi_en : 0;
  secrets.fms = firmware.platform.cpuid(1, 0).eax;
  std::copy(context.gosvw.begin(), context.gosvw.end(), secrets.gosvw);
  for (unsigned vmpl = 0; vmpl < vmpl_count; ++vmpl) {
    std::copy(context.vmpck[vmpl].begin(), context.vmpck[vmpl].end(), secrets.vmpck[vmpl]);
  }
  secrets.vmsa_tweak_bitmap = genoa_tweak_bitmap;
  secrets.tsc_factor = genoa_tsc_factor;
  store_le(raw_frame(firmware, page), secrets);
}

// A refused page goes back to the host corrected and in plaintext (firmware sheet 1.6).
Status check_cpuid(Firmware& firmware, Request& request, SystemPhysical page) {
  u8* const frame = raw_frame(firmware, page);
  auto contents = load_le<CpuidPage>(frame);
  switch (check_cpuid_page(contents, firmware.platform)) {
    case CpuidVerdict::accepted:
      return Status::success;
    case CpuidVerdict::corrected:
      store_le(frame, contents);
      return request.fail(Status::invalid_param, "CPUID values outside of policy, corrected");
    case CpuidVerdict::malformed:
      return request.fail(Status::invalid_param, "the CPUID page's header is malformed");
  }
  return Status::invalid_param;
}

// The plaintext becomes what the guest sees. From here on nothing can fail.
void encrypt(Firmware& firmware, const GuestContext& context, const Update& update) {
  memory::Dram& dram = firmware.port.dram();
  const memory::KeyId key = memory::key_of(context.asid);
  if (update.type == PageType::zero) {
    dram.zero_frames(update.page, bytes(update.size) / page_size, key);
    return;
  }
  for (u64 offset = 0; offset < bytes(update.size); offset += page_size) {
    dram.reencrypt_in_place(update.page + offset, memory::KeyId::none, key);
  }
}

// PRE_GUEST -> GUEST_VALID. The VMPL0 mask stays as it is.
void hand_over(Firmware& firmware, const Update& update, Command command) {
  snp::RmpEntry entry = firmware.port.rmp().entry(update.page);
  entry.set_validated(true);
  entry.set_immutable(false);
  entry.set_locked(false);
  entry.set_vmsa(update.type == PageType::vmsa);
  for (unsigned vmpl = 1; vmpl < vmpl_count; ++vmpl) {
    entry.set_permissions(static_cast<Vmpl>(vmpl), update.measured.vmpl_permissions[vmpl - 1]);
  }
  firmware.port.write_page(update.page, update.size, entry, command);
}

}  // namespace

Status snp_launch_update(Firmware& firmware, Request& request) {
  GuestContext& context = *request.context;
  const Update update = decode(request);
  if (context.imi_en && !update.imi) {
    return request.fail(Status::invalid_param, "IMI_PAGE is clear while IMIEn is set");
  }
  if (update.type == PageType::cpuid) {
    const Status status = check_cpuid(firmware, request, update.page);
    if (status != Status::success) {
      return status;
    }
  }
  measure(firmware, context, update);
  if (update.type == PageType::vmsa) {
    finish_vmsa(firmware, context, update.page);
  } else if (update.type == PageType::secrets) {
    write_secrets(firmware, context, update.page);
  }
  encrypt(firmware, context, update);
  hand_over(firmware, update, request.command);
  // Of the context only the digests changed: the noise of their blocks.
  refresh_context_image(firmware, request.context_page, digest_bytes);
  return Status::success;
}

}  // namespace softsnp::psp
