// ELF64 executables, entered in long mode with RSI = boot_params: an uncompressed Linux kernel or
// a small kernel of one's own. linux-boot sheet 1.4, 1.9.
#include "image/assembly.hpp"
#include "image/elf_segments.hpp"
#include "image/entry_state.hpp"
#include "image/linux_params.hpp"
#include "image/low_memory.hpp"

namespace softsnp::image {

Result<LaunchPlan, ImageError> build_elf64(const Inputs& inputs) {
  const auto elf = parse_elf(inputs.kernel);
  if (!elf) {
    return pass_on(elf);
  }
  const auto entry = physical_entry(inputs.kernel, *elf);
  if (!entry) {
    return pass_on(entry);
  }
  auto assembly = Assembly::begin(inputs, Format::elf64);
  if (!assembly) {
    return pass_on(assembly);
  }
  if (const auto loaded = load_segments(*assembly, *elf); !loaded) {
    return pass_on(loaded);
  }
  // The kernel's own limit is not in the file; Linux' is 2047 for a PC.
  if (const auto placed = assembly->place_command_line(linux_command_line_limit); !placed) {
    return pass_on(placed);
  }
  if (const auto placed = assembly->place_initrd(highest_initrd_address); !placed) {
    return pass_on(placed);
  }
  assembly->layout().entry = *entry;
  assembly->layout().boot_info = low::boot_info;
  assembly->place(low::boot_info, as_bytes(linux_params(assembly->plan(), synthetic_header())));
  return assembly->finish(long_mode_state(inputs.mode, *entry, low::boot_info));
}

}  // namespace softsnp::image
