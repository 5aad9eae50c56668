#include "image/image.hpp"

#include "arch/boot/setup_header.hpp"
#include "image/assembly.hpp"
#include "image/elf_segments.hpp"
#include "image/multiboot.hpp"
#include "image/reader.hpp"

namespace softsnp::image {

namespace {

// The others are not Linux, or enter it behind the boot code that accepts where it unpacks to.
Failure<ImageError> no_bzimage(const File& kernel) {
  return fail(kernel.name, "", "only a bzImage can be given memory that it accepts itself");
}

}  // namespace

const char* name(PageType type) {
  switch (type) {
    case PageType::normal:
      return "normal";
    case PageType::zero:
      return "zero";
    case PageType::unmeasured:
      return "unmeasured";
    case PageType::secrets:
      return "secrets";
    case PageType::cpuid:
      return "cpuid";
  }
  return "?";
}

const char* name(Format format) {
  switch (format) {
    case Format::bzimage:
      return "bzImage";
    case Format::elf64:
      return "ELF64";
    case Format::multiboot:
      return "Multiboot";
  }
  return "?";
}

Result<LaunchPlan, ImageError> build(const Inputs& inputs) {
  const File& kernel = inputs.kernel;
  if (read<u32>(kernel.bytes, boot::setup_header_jump_end) == boot::setup_header_magic) {
    return build_bzimage(inputs);
  }
  const bool is_lazy = inputs.acceptance == Acceptance::lazy;
  if (const auto header = find_multiboot_header(kernel.bytes)) {
    if (is_lazy) {
      return no_bzimage(kernel);
    }
    return build_multiboot(inputs, *header);
  }
  if (!is_elf(kernel.bytes)) {
    return fail(kernel.name, "",
                "not a kernel image: expected \"HdrS\" at 0x202 (bzImage), an ELF64 executable or "
                "a Multiboot 1 header; the file has " +
                    size_text(kernel.bytes.size()));
  }
  if (!is_elf64(kernel.bytes)) {
    return fail(kernel.name, "EI_CLASS",
                "a 32-bit ELF executable needs a Multiboot 1 header in its first 8 KiB");
  }
  if (is_lazy) {
    return no_bzimage(kernel);
  }
  return build_elf64(inputs);
}

}  // namespace softsnp::image
