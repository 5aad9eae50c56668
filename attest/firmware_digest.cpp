#include "attest/firmware_digest.hpp"

#include "base/bytes.hpp"

namespace softsnp::attest {
namespace {

using boot::ovmf::SectionType;
using image::fail;
using image::Firmware;
using image::FirmwareSection;
using image::ImageError;
using image::PageType;
using Done = Result<void, ImageError>;

template <class T>
std::span<const u8> as_bytes(const T& value) {
  return {reinterpret_cast<const u8*>(&value), sizeof value};
}

bool has_section(const Firmware& firmware, SectionType type) {
  for (const FirmwareSection& section : *firmware.sections) {
    if (section.type == type) {
      return true;
    }
  }
  return false;
}

Done check_whole_pages(const Firmware& firmware) {
  if (!is_aligned(firmware.file.bytes.size(), page_size)) {
    return fail(
        firmware.file.name, "size",
        "SNP measures whole pages of 4 KiB, got " + image::size_text(firmware.file.bytes.size()));
  }
  if (!firmware.sections) {
    return fail(firmware.file.name, "SEV metadata",
                "not found in the GUID table at the file's end: no image for SEV-SNP");
  }
  return {};
}

Done check_hash_table(const Firmware& firmware) {
  if (!firmware.hash_table) {
    return fail(firmware.file.name, "SEV hash table",
                "not found in the GUID table: this image does not check the kernel (--kernel)");
  }
  const auto& area = *firmware.hash_table;
  if (area.size < sizeof(boot::ovmf::KernelHashes)) {
    return fail(firmware.file.name, "SEV hash table size",
                "expected at least 0xb0, got " + image::hex(area.size));
  }
  return {};
}

Done check_hash_page(const Firmware& firmware) {
  if (Done done = check_hash_table(firmware); !done) {
    return done;
  }
  const u64 offset = GuestPhysical(firmware.hash_table->gpa).page_offset();
  if (offset + sizeof(boot::ovmf::KernelHashes) > page_size) {
    return fail(firmware.file.name, "SEV hash table GPA",
                "the table crosses a page at " + image::hex(firmware.hash_table->gpa));
  }
  if (!has_section(firmware, SectionType::kernel_hashes)) {
    return fail(firmware.file.name, "SEV metadata",
                "no section for kernel hashes: this image does not check the kernel (--kernel)");
  }
  return {};
}

Done check_count(const Vcpus& vcpus) {
  if (vcpus.count == 0 || vcpus.count > maximum_vcpus) {
    return fail("vcpus", "count", "expected 1 to " + std::to_string(maximum_vcpus));
  }
  return {};
}

Done check_vcpus(const Firmware& firmware, const Vcpus& vcpus) {
  if (Done done = check_count(vcpus); !done) {
    return done;
  }
  if (vcpus.count > 1 && !firmware.reset_eip) {
    return fail(firmware.file.name, "SEV-ES reset block",
                "not found in the GUID table: where other vCPUs than the first start is unknown");
  }
  return {};
}

void add_section(LaunchDigest& digest, const Firmware& firmware, const FirmwareSection& section,
                 const Hashes& hashes, VmmType vmm) {
  switch (section.type) {
    case SectionType::snp_memory:
      digest.add_unseen(vmm == VmmType::gce ? PageType::unmeasured : PageType::zero, section.gpa,
                        section.length);
      return;
    case SectionType::snp_secrets:
      digest.add_unseen(PageType::secrets, section.gpa, section.length);
      return;
    case SectionType::cpuid:
      digest.add_unseen(PageType::cpuid, section.gpa, section.length);
      return;
    case SectionType::kernel_hashes:
      if (hashes) {
        const u64 offset = GuestPhysical(firmware.hash_table->gpa).page_offset();
        digest.add_normal(section.gpa, kernel_hashes_page(*hashes, offset));
        return;
      }
      break;
    case SectionType::svsm_calling_area:
      break;
  }
  digest.add_unseen(PageType::zero, section.gpa, section.length);
}

// EC2 launches the CPUID page after all others.
void add_sections(LaunchDigest& digest, const Firmware& firmware, const Hashes& hashes,
                  VmmType vmm) {
  const auto is_late = [vmm](const FirmwareSection& section) {
    return vmm == VmmType::ec2 && section.type == SectionType::cpuid;
  };
  for (const bool late : {false, true}) {
    for (const FirmwareSection& section : *firmware.sections) {
      if (is_late(section) == late) {
        add_section(digest, firmware, section, hashes, vmm);
      }
    }
  }
}

svm::Vmsa state_of(u32 index, const Firmware& firmware, const Vcpus& vcpus, u64 sev_features) {
  const u32 eip = index == 0 ? reset_vector : *firmware.reset_eip;
  return reset_state(vcpus.vmm, eip, vcpus.signature, sev_features);
}

}  // namespace

Result<psp::Digest, ImageError> measure_snp(const Firmware& firmware, const Hashes& hashes,
                                            const Vcpus& vcpus,
                                            const std::optional<psp::Digest>& firmware_digest) {
  for (const Done& done : {check_whole_pages(firmware), check_vcpus(firmware, vcpus)}) {
    if (!done) {
      return image::pass_on(done);
    }
  }
  if (const Done done = hashes ? check_hash_page(firmware) : Done(); !done) {
    return image::pass_on(done);
  }
  LaunchDigest digest(firmware_digest.value_or(psp::Digest{}));
  if (!firmware_digest) {
    digest.add_normal(firmware.base, firmware.file.bytes);
  }
  add_sections(digest, firmware, hashes, vcpus.vmm);
  for (u32 i = 0; i < vcpus.count; ++i) {
    digest.add_vmsa(state_of(i, firmware, vcpus, vcpus.sev_features));
  }
  return digest.value();
}

std::optional<GuestPhysical> svsm_end(const Firmware& firmware, u64 variables_size) {
  if (variables_size > firmware.base.value()) {
    return std::nullopt;
  }
  return firmware.base - variables_size;
}

Result<psp::Digest, ImageError> measure_svsm(const Firmware& firmware, const Firmware& svsm,
                                             const Vcpus& vcpus) {
  if (!is_aligned(firmware.file.bytes.size(), page_size)) {
    return image::pass_on(check_whole_pages(firmware));
  }
  if (const Done done = check_whole_pages(svsm); !done) {
    return image::pass_on(done);
  }
  if (!svsm.base.is_page_aligned()) {
    return fail(svsm.file.name, "base address",
                "the variables' size is no multiple of 4 KiB (--vars-size)");
  }
  if (!svsm.svsm_launch_offset) {
    return fail(svsm.file.name, "SVSM info",
                "not found in the GUID table: where the SVSM starts is unknown");
  }
  if (const Done done = check_count(vcpus); !done) {
    return image::pass_on(done);
  }
  LaunchDigest digest;
  digest.add_normal(firmware.base, firmware.file.bytes);
  digest.add_normal(svsm.base, svsm.file.bytes);
  add_sections(digest, svsm, {}, VmmType::qemu);
  const u32 eip = static_cast<u32>(svsm.base.value() + *svsm.svsm_launch_offset);
  for (u32 i = 0; i < vcpus.count; ++i) {
    digest.add_vmsa(svsm_state(eip, vcpus.signature));
  }
  return digest.value();
}

Result<Sha256Sum, ImageError> measure_sev(const Firmware& firmware, const Hashes& hashes,
                                          const std::optional<Vcpus>& vcpus) {
  if (const Done done = hashes ? check_hash_table(firmware) : Done(); !done) {
    return image::pass_on(done);
  }
  if (const Done done = vcpus ? check_vcpus(firmware, *vcpus) : Done(); !done) {
    return image::pass_on(done);
  }
  Hasher sha("SHA256");
  sha.update(firmware.file.bytes);
  if (hashes) {
    sha.update(as_bytes(*hashes));
  }
  for (u32 i = 0; vcpus && i < vcpus->count; ++i) {
    sha.update(state_of(i, firmware, *vcpus, 0).raw);
  }
  Sha256Sum sum{};
  sha.finish(sum.data());
  return sum;
}

}  // namespace softsnp::attest
