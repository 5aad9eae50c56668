// A plan in the making, and the steps all formats share.
#pragma once

#include "image/guest_memory.hpp"
#include "image/image.hpp"
#include "image/svsm.hpp"

namespace softsnp::image {

class Assembly {
 public:
  // Checks what does not depend on the kernel and puts descriptors, page tables, ACPI tables and
  // (mode snp) secrets and CPUID page in place.
  static Result<Assembly, ImageError> begin(const Inputs& inputs, Format format);

  // Kernel bytes at gpa and the zeroed rest up to gpa + memory_length: all of it must be free RAM.
  // field names the place in the file for messages.
  Result<void, ImageError> load_kernel(GuestPhysical gpa, std::span<const u8> bytes,
                                       u64 memory_length, std::string_view field);
  // length_limit: longest text the kernel takes, without the zero.
  Result<void, ImageError> place_command_line(u64 length_limit);
  // As high as possible, in 2 MiB blocks of its own, above the kernel, last byte <= highest.
  // Without an initrd: nothing.
  Result<void, ImageError> place_initrd(u64 highest);
  // Acceptance::lazy, after all that goes above 1 MiB: memory nobody needs before it is accepted
  // stays out of the launch, and EFI tables say so.
  void leave_unaccepted();
  // A structure of the loader's own at a fixed low address.
  void place(GuestPhysical gpa, std::span<const u8> bytes);

  Layout& layout() { return plan_.layout; }
  const LaunchPlan& plan() const { return plan_; }
  const Inputs& inputs() const { return *inputs_; }

  bool is_lazy() const { return inputs_->acceptance == Acceptance::lazy; }

  LaunchPlan finish(const svm::Vmsa& entry_state);

 private:
  explicit Assembly(const Inputs& inputs, Format format);
  std::string no_room(GuestPhysical gpa, u64 length) const;
  void place_firmware_tables();
  void place_cc_pages();
  Result<void, ImageError> place_svsm();
  bool is_of_svsm(GuestPhysical gpa, u64 length) const;
  // RAM below 4 GiB that is not the SVSM's.
  GuestPhysical ram_ceiling() const;
  bool has_boot_code() const;

  const Inputs* inputs_;
  GuestMemory memory_;
  LaunchPlan plan_;
  std::optional<SvsmPlacement> svsm_;
};

// Without a bzImage header: Linux' limit on a PC, and any RAM below 4 GiB.
inline constexpr u64 linux_command_line_limit = 2047;
inline constexpr u64 highest_initrd_address = 0xFFFFFFFF;

// The bytes of a trivially copyable structure.
template <class T>
std::span<const u8> as_bytes(const T& value) {
  return {reinterpret_cast<const u8*>(&value), sizeof value};
}

// One builder a format; the file has been recognised, not checked.
Result<LaunchPlan, ImageError> build_bzimage(const Inputs& inputs);
Result<LaunchPlan, ImageError> build_elf64(const Inputs& inputs);
Result<LaunchPlan, ImageError> build_multiboot(const Inputs& inputs, u64 header_offset);

}  // namespace softsnp::image
