#include "image/assembly.hpp"

#include <algorithm>
#include <cstdlib>

#include "arch/boot/setup_data.hpp"
#include "arch/x86/registers.hpp"
#include "guest/boot/sev_es_boot.hpp"
#include "image/acpi.hpp"
#include "image/efi_memory_map.hpp"
#include "image/efi_tables.hpp"
#include "image/entry_state.hpp"
#include "image/low_memory.hpp"
#include "image/memory_map.hpp"
#include "image/page_tables.hpp"
#include "image/unaccepted.hpp"

namespace softsnp::image {
namespace {

// What no hypervisor should start (GHCB sheet 4.3).
Result<void, ImageError> check_injection(const Inputs& inputs, Format format) {
  using snp::InjectionMode;
  if (inputs.injection == InjectionMode::normal) {
    return {};
  }
  if (inputs.mode != Mode::snp) {
    return fail("injection", "",
                "restricted and alternate injection are for SEV-SNP guests (mode snp)");
  }
  if (inputs.injection == InjectionMode::alternate && inputs.svsm) {
    return fail(
        "injection", "",
        "alternate injection needs an SVSM that emulates the APIC, which this one does not");
  }
  if (inputs.injection == InjectionMode::alternate && format == Format::bzimage) {
    return fail(inputs.kernel.name, "injection",
                "alternate injection needs an SVSM at VMPL0 to hand the interrupts on; a kernel "
                "started there is none");
  }
  return {};
}

Result<void, ImageError> check(const Inputs& inputs) {
  const u64 size = inputs.memory_size;
  if (size < minimum_memory || size > maximum_memory || !is_aligned(size, page_size)) {
    return fail("memory", "size",
                "expected " + size_text(minimum_memory) + " to " + size_text(maximum_memory) +
                    " in whole pages, got " + size_text(size));
  }
  if (inputs.vcpu_count == 0 || inputs.vcpu_count > maximum_vcpus) {
    return fail("vcpus", "count", "expected 1 to " + std::to_string(maximum_vcpus));
  }
  if (is_encrypted(inputs.mode) && (inputs.c_bit < 32 || inputs.c_bit > 51)) {
    return fail("c-bit", "position", "expected 32 to 51, got " + std::to_string(inputs.c_bit));
  }
  if (inputs.cpuid.size() > psp::CpuidPage::max_count) {
    return fail("cpuid", "entries",
                "at most 64 fit the CPUID page, got " + std::to_string(inputs.cpuid.size()));
  }
  if (inputs.acceptance == Acceptance::lazy && inputs.mode != Mode::snp) {
    return fail("memory", "acceptance", "only an SEV-SNP guest accepts memory itself");
  }
  if (inputs.svsm && inputs.mode != Mode::snp) {
    return fail("svsm", "mode", "only an SEV-SNP guest has an SVSM");
  }
  if (inputs.append.find('\0') != std::string::npos) {
    return fail("command line", "", "contains a zero byte");
  }
  if (!inputs.initrd.name.empty() && inputs.initrd.bytes.empty()) {
    return fail(inputs.initrd.name, "", "initrd is empty");
  }
  return {};
}

std::vector<u8> cpuid_page(const std::vector<psp::CpuidEntry>& entries) {
  psp::CpuidPage page{};
  page.count = static_cast<u32>(entries.size());
  std::copy(entries.begin(), entries.end(), std::begin(page.entries));
  const std::span<const u8> bytes = as_bytes(page);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Assembly::Assembly(const Inputs& inputs, Format format)
    : inputs_(&inputs), memory_(ram_ranges(inputs.memory_size)) {
  plan_.mode = inputs.mode;
  plan_.format = format;
  plan_.injection = inputs.injection;
  plan_.acceptance = inputs.acceptance;
  plan_.memory_size = inputs.memory_size;
  plan_.vcpu_count = inputs.vcpu_count;
  plan_.ap_state = ap_state(inputs.mode);
  plan_.ram = ram_ranges(inputs.memory_size);
  plan_.e820 = e820_map(inputs.memory_size, inputs.mode, inputs.acceptance);
}

Result<Assembly, ImageError> Assembly::begin(const Inputs& inputs, Format format) {
  if (const auto checked = check(inputs); !checked) {
    return pass_on(checked);
  }
  if (const auto checked = check_injection(inputs, format); !checked) {
    return pass_on(checked);
  }
  Assembly assembly(inputs, format);
  assembly.place_firmware_tables();
  if (inputs.mode == Mode::snp) {
    assembly.place_cc_pages();
  }
  if (inputs.svsm) {
    if (const auto placed = assembly.place_svsm(); !placed) {
      return pass_on(placed);
    }
  }
  if (assembly.has_boot_code()) {
    assembly.place(low::boot_code, guest::sev_es_boot_code());
  }
  return assembly;
}

// The launch pages come last: the guest's start is known then.
Result<void, ImageError> Assembly::place_svsm() {
  auto placement = svsm_placement(*inputs_);
  if (!placement) {
    return pass_on(placement);
  }
  for (const Segment& segment : placement->elf.segments) {
    if (!memory_.put(placement->place_of(segment.vaddr), segment.bytes)) {
      return fail(inputs_->svsm->file.name, "program headers", "segments overlap");
    }
  }
  place(placement->page_tables, svsm_page_tables(*placement, *inputs_));
  place(low::calling_area, std::vector<u8>(page_size));
  plan_.layout.svsm = placement->own;
  reserve(plan_.e820, placement->own);
  reserve(plan_.e820, {low::calling_area, page_size});
  svsm_ = std::move(*placement);
  return {};
}

bool Assembly::is_of_svsm(GuestPhysical gpa, u64 length) const {
  const auto overlaps = [&](const RamRange& range) {
    return gpa < range.end() && range.start < gpa + length;
  };
  return svsm_ && (overlaps(svsm_->own) || overlaps({low::calling_area, page_size}));
}

GuestPhysical Assembly::ram_ceiling() const {
  const GuestPhysical end = low_ram_end(inputs_->memory_size);
  return svsm_ ? std::min(end, svsm_->own.start) : end;
}

// The loader's own places are disjoint by construction (low_memory.hpp): a clash is our fault.
void Assembly::place(GuestPhysical gpa, std::span<const u8> bytes) {
  if (!memory_.put(gpa, bytes)) {
    std::abort();
  }
}

void Assembly::place_firmware_tables() {
  place(low::descriptors, descriptor_table());
  place(low::page_tables, identity_map(inputs_->mode, inputs_->c_bit));
  place(low::acpi, acpi_tables(low::acpi, inputs_->vcpu_count));
  plan_.layout.rsdp = low::acpi;
}

void Assembly::place_cc_pages() {
  boot::CcBlob blob{};
  blob.magic = boot::cc_blob_magic;
  blob.version = 1;
  blob.secrets_address = low::secrets.value();
  blob.secrets_length = page_size;
  blob.cpuid_address = low::cpuid.value();
  blob.cpuid_length = page_size;
  place(low::cc_blob, as_bytes(blob));
  boot::CcBlobNode node{};
  const u64 next = is_lazy() ? (low::setup_data + sizeof node).value() : 0;
  node.header = {next, boot::SetupDataType::cc_blob, sizeof node - sizeof node.header};
  node.cc_blob_address = static_cast<u32>(low::cc_blob.value());
  place(low::setup_data, as_bytes(node));
  if (!memory_.put_page(low::secrets, PageType::secrets, {}) ||
      !memory_.put_page(low::cpuid, PageType::cpuid, cpuid_page(inputs_->cpuid))) {
    std::abort();
  }
}

std::string Assembly::no_room(GuestPhysical gpa, u64 length) const {
  const GuestPhysical ram_end = ram_ceiling();
  GuestPhysical end = gpa;
  if (gpa >= low::one_mib && end.checked_add(length)) {
    return "memory too small: needs RAM from " + hex(gpa.value()) + " to " + hex(end.value()) +
           ", RAM below 4 GiB ends at " + hex(ram_end.value());
  }
  return "expected it within " + hex(low::end.value()) + " to " +
         hex(free_low_end(inputs_->acceptance).value()) + " or from " + hex(low::one_mib.value()) +
         " on, got " + hex(gpa.value()) + " and " + hex(length) + " bytes";
}

Result<void, ImageError> Assembly::load_kernel(GuestPhysical gpa, std::span<const u8> bytes,
                                               u64 memory_length, std::string_view field) {
  const std::string& name = inputs_->kernel.name;
  memory_length = std::max<u64>(memory_length, bytes.size());
  if (!is_free_ram(inputs_->memory_size, inputs_->acceptance, gpa, memory_length) ||
      is_of_svsm(gpa, memory_length)) {
    return fail(name, field, no_room(gpa, memory_length));
  }
  if (!memory_.put(gpa, bytes)) {
    return fail(name, field, "overlaps another part of the image at " + hex(gpa.value()));
  }
  Layout& at = plan_.layout;
  const bool first = at.kernel_end == GuestPhysical(0);
  at.kernel_start = first ? gpa : std::min(at.kernel_start, gpa);
  at.kernel_end = std::max(at.kernel_end, gpa + memory_length);
  return {};
}

Result<void, ImageError> Assembly::place_command_line(u64 length_limit) {
  const u64 limit = std::min(length_limit, low::command_line_capacity - 1);
  const std::string& text = inputs_->append;
  if (text.size() > limit) {
    return fail("command line", "length",
                std::to_string(text.size()) + " bytes, " + inputs_->kernel.name +
                    " takes at most " + std::to_string(limit));
  }
  place(low::command_line, {reinterpret_cast<const u8*>(text.c_str()), text.size() + 1});
  plan_.layout.command_line = low::command_line;
  return {};
}

Result<void, ImageError> Assembly::place_initrd(u64 highest) {
  const File& initrd = inputs_->initrd;
  if (initrd.bytes.empty()) {
    return {};
  }
  const u64 floor = std::max(plan_.layout.kernel_end, low::one_mib).value();
  const u64 ceiling = std::min(ram_ceiling().value(), highest < ~u64{0} ? highest + 1 : highest);
  const u64 length = align_up(initrd.bytes.size(), page_size);
  const u64 start = length <= ceiling ? align_down(ceiling - length, large_page_size) : 0;
  if (start < floor || start + initrd.bytes.size() > ceiling) {
    return fail(initrd.name, "size",
                "initrd of " + size_text(initrd.bytes.size()) + " is too big: free memory is " +
                    hex(floor) + " to " + hex(ceiling));
  }
  place(GuestPhysical(start), initrd.bytes);
  plan_.layout.initrd = GuestPhysical(start);
  plan_.layout.initrd_size = initrd.bytes.size();
  return {};
}

void Assembly::leave_unaccepted() {
  const Layout& at = plan_.layout;
  const std::vector<RamRange> needed{{at.kernel_start, at.kernel_end - at.kernel_start}, at.svsm};
  plan_.unaccepted = unaccepted_blocks(memory_.regions(Contents::left_out), needed);
  place(low::setup_data + sizeof(boot::CcBlobNode), as_bytes(efi_setup_node()));
  place(low::efi_runtime_data, efi_runtime_data(plan_));
  place(low::efi_runtime_code, efi_runtime_code());
  if (!plan_.unaccepted.empty()) {
    place(low::unaccepted_table, unaccepted_table(plan_.unaccepted));
  }
  const auto map = efi_memory_map(plan_);
  place(low::efi_tables, {reinterpret_cast<const u8*>(map.data()), map.size() * sizeof map[0]});
}

bool Assembly::has_boot_code() const {
  return plan_.mode == Mode::sev_es && plan_.vcpu_count > 1;
}

// A guest that starts without paging can have no GHCB yet: it names its jump table itself.
LaunchPlan Assembly::finish(const svm::Vmsa& entry_state) {
  const bool paging = (entry_state.cr0 & x86::cr0::pg) != 0;
  plan_.entry_state = has_boot_code() && paging ? through_boot_code(entry_state) : entry_state;
  if (svsm_) {
    place(svsm_->launch_pages,
          as_bytes(svsm_launch_pages(*svsm_, *inputs_, plan_.unaccepted, entry_state)));
    plan_.entry_state = svsm_entry_state(*svsm_);
  }
  if (plan_.mode == Mode::snp) {
    plan_.entry_state.sev_features = snp::launch_features(plan_.injection);
    plan_.ap_state.sev_features = plan_.entry_state.sev_features;
  }
  plan_.regions = without(memory_.regions(Contents::filled_in), plan_.unaccepted);
  return std::move(plan_);
}

}  // namespace softsnp::image
