// Direct boot of a bzImage by its 64-bit entry. linux-boot sheet 1.1 to 1.8.
#include "arch/boot/setup_header.hpp"
#include "image/assembly.hpp"
#include "image/entry_state.hpp"
#include "image/linux_params.hpp"
#include "image/low_memory.hpp"
#include "image/reader.hpp"
#include "image/unaccepted.hpp"

namespace softsnp::image {
namespace {

using boot::SetupHeader;

Result<void, ImageError> check_capabilities(const std::string& name, const SetupHeader& header) {
  if (header.boot_flag != boot::boot_flag_magic) {
    return fail(name, "boot_flag at 0x1fe", "expected 0xaa55, got " + hex(header.boot_flag));
  }
  if (header.header != boot::setup_header_magic) {
    return fail(name, "header at 0x202", "expected \"HdrS\", got " + hex(header.header));
  }
  if (header.version < boot::minimum_protocol) {
    return fail(name, "version at 0x206",
                "boot protocol too old: expected at least " + hex(boot::minimum_protocol) +
                    ", got " + hex(header.version));
  }
  if ((header.loadflags & boot::loadflags_loaded_high) == 0) {
    return fail(name, "loadflags at 0x211", "expected LOADED_HIGH (a zImage cannot be loaded)");
  }
  if ((header.xloadflags & boot::xloadflags_kernel_64) == 0) {
    return fail(name, "xloadflags at 0x236", "no 64-bit entry: expected a 64-bit kernel");
  }
  if (header.hardware_subarch != 0) {
    return fail(name, "hardware_subarch at 0x23c",
                "expected 0 (PC), got " + hex(header.hardware_subarch));
  }
  return {};
}

// The protected-mode part, without what follows it (a Secure Boot signature).
Result<std::span<const u8>, ImageError> protected_mode_part(const File& kernel,
                                                            const SetupHeader& header) {
  constexpr u64 unit = 16;
  const u64 sectors = header.setup_sects == 0 ? 4 : header.setup_sects;
  const u64 start = (sectors + 1) * boot::sector_size;
  const u64 length = header.syssize * unit;
  if (length <= boot::entry_64_offset) {
    return fail(kernel.name, "syssize at 0x1f4", "expected a kernel, got " + size_text(length));
  }
  if (!contains(kernel.bytes, start, length)) {
    return fail(kernel.name, "syssize at 0x1f4",
                "file is truncated: expected " + std::to_string(start + length) + " bytes, got " +
                    std::to_string(kernel.bytes.size()));
  }
  return kernel.bytes.subspan(start, length);
}

// The run address: the image moves itself to the top of [run, run + init_size).
Result<GuestPhysical, ImageError> load_address(const File& kernel, const SetupHeader& header,
                                               u64 length) {
  const u64 alignment = header.kernel_alignment;
  if (alignment < page_size || (alignment & (alignment - 1)) != 0) {
    return fail(kernel.name, "kernel_alignment at 0x230",
                "expected a power of two of at least 4 KiB, got " + hex(alignment));
  }
  if (!is_aligned(header.pref_address, alignment)) {
    return fail(kernel.name, "pref_address at 0x258",
                "expected a multiple of " + hex(alignment) + ", got " + hex(header.pref_address));
  }
  if (header.init_size < length) {
    return fail(kernel.name, "init_size at 0x260",
                "expected at least the " + size_text(length) + " of the image, got " +
                    size_text(header.init_size));
  }
  return GuestPhysical(header.pref_address);
}

Result<LaunchPlan, ImageError> assemble(Assembly& assembly, const SetupHeader& header,
                                        GuestPhysical load, std::span<const u8> part) {
  const auto loaded = assembly.load_kernel(load, part, header.init_size, "pref_address, init_size");
  if (!loaded) {
    return pass_on(loaded);
  }
  if (const auto placed = assembly.place_command_line(header.cmdline_size); !placed) {
    return pass_on(placed);
  }
  if (const auto placed = assembly.place_initrd(header.initrd_addr_max); !placed) {
    return pass_on(placed);
  }
  if (assembly.is_lazy()) {
    assembly.leave_unaccepted();
  }
  const GuestPhysical entry = load + boot::entry_64_offset;
  assembly.layout().entry = entry;
  assembly.layout().boot_info = low::boot_info;
  assembly.place(low::boot_info, as_bytes(linux_params(assembly.plan(), header)));
  return assembly.finish(long_mode_state(assembly.plan().mode, entry, low::boot_info));
}

}  // namespace

Result<LaunchPlan, ImageError> build_bzimage(const Inputs& inputs) {
  const File& kernel = inputs.kernel;
  const auto header = read<SetupHeader>(kernel.bytes, boot::setup_header_offset);
  if (!header) {
    return fail(kernel.name, "setup header",
                "file is truncated: expected at least 620 bytes, got " +
                    std::to_string(kernel.bytes.size()));
  }
  if (const auto checked = check_capabilities(kernel.name, *header); !checked) {
    return pass_on(checked);
  }
  const auto part = protected_mode_part(kernel, *header);
  if (!part) {
    return pass_on(part);
  }
  const auto load = load_address(kernel, *header, part->size());
  if (!load) {
    return pass_on(load);
  }
  if (inputs.acceptance == Acceptance::lazy && !accepts_memory(*part)) {
    return fail(kernel.name, "",
                "this kernel cannot accept memory itself (it does not know the table of "
                "unaccepted memory); let the launch accept all of it");
  }
  auto assembly = Assembly::begin(inputs, Format::bzimage);
  if (!assembly) {
    return pass_on(assembly);
  }
  return assemble(*assembly, *header, *load, *part);
}

}  // namespace softsnp::image
