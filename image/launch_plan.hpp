// What a file becomes: every page a guest starts with, and the state its first vCPU starts in. A
// value: the VMM executes it and attest measures the same one.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "arch/address.hpp"
#include "arch/boot/e820.hpp"
#include "arch/snp/features.hpp"
#include "arch/svm/vmsa.hpp"

namespace softsnp::image {

// Launch page types, numbers of the firmware (firmware sheet 1.6). VMSA pages are not in a plan:
// the hypervisor makes them from entry_state.
enum class PageType : u8 { normal = 1, zero = 3, unmeasured = 4, secrets = 5, cpuid = 6 };

const char* name(PageType type);
// Zero and secrets pages are filled by the firmware; all others bring their bytes.
constexpr bool has_bytes(PageType type) {
  return type != PageType::zero && type != PageType::secrets;
}

struct LaunchRegion {
  GuestPhysical gpa;  // page aligned
  u64 length = 0;     // multiple of 4096; never crosses from 4 KiB pages into whole 2 MiB blocks
  PageType type = PageType::zero;
  std::array<u8, 3> vmpl_permissions{};  // VMPL1..VMPL3
  std::vector<u8> bytes;                 // exactly length bytes, or empty (has_bytes)
};

// Guest memory that exists: the VMM gives it to the hypervisor as memory slots.
struct RamRange {
  GuestPhysical start;
  u64 length = 0;

  GuestPhysical end() const { return start + length; }
};

enum class Mode : u8 { snp, plain, sev, sev_es };
// The guest's memory has a key, and its page tables a C-bit.
constexpr bool is_encrypted(Mode mode) {
  return mode != Mode::plain;
}
// Who validates the guest's memory: eager, the launch, all of it; lazy, the guest, what it uses.
enum class Acceptance : u8 { eager, lazy };
enum class Format : u8 { bzimage, elf64, multiboot };

const char* name(Format format);

// Where things are, for traces, symbols and tests. Zero: absent.
struct Layout {
  GuestPhysical kernel_start, kernel_end;  // loaded bytes and zeroed tail
  GuestPhysical entry;
  GuestPhysical boot_info;  // boot_params or Multiboot information
  GuestPhysical command_line;
  GuestPhysical initrd;
  u64 initrd_size = 0;
  GuestPhysical rsdp;
  RamRange svsm;
};

struct LaunchPlan {
  Mode mode = Mode::snp;
  Format format = Format::bzimage;
  Acceptance acceptance = Acceptance::eager;
  snp::InjectionMode injection = snp::InjectionMode::normal;
  u64 memory_size = 0;
  std::vector<RamRange> ram;          // ascending
  std::vector<boot::E820Entry> e820;  // ascending
  // Ascending; together with unaccepted exactly ram, each page once.
  std::vector<LaunchRegion> regions;
  std::vector<RamRange> unaccepted;  // ascending, in 2 MiB blocks: the guest's to validate
  unsigned vcpu_count = 1;           // APIC ids from 0
  svm::Vmsa entry_state{};           // of vCPU 0
  svm::Vmsa ap_state{};              // of the others, which wait for a start-up request
  Layout layout;
};

}  // namespace softsnp::image
