#include "attest/reset_state.hpp"

#include <utility>

#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"

namespace softsnp::attest {
namespace {

using svm::SegmentRegister;

constexpr u32 segment_limit = 0xFFFF;
constexpr u64 pat_reset = 0x0007040600070406, pat_of_gce = 0x70106;
constexpr u32 rdx_after_reset = 0x600;

constexpr SegmentRegister segment(u16 attributes) {
  return {0, attributes, segment_limit, 0};
}

// What all monitors agree on.
svm::Vmsa common_state(u64 sev_features) {
  svm::Vmsa state{};
  state.es = state.ds = state.fs = state.gs = state.ss = segment(0x93);
  state.gdtr = state.idtr = segment(0);
  state.ldtr = segment(0x82);
  state.tr = segment(0x8B);
  state.efer = x86::efer::svme;
  state.cr4 = 0x40;  // MCE
  state.cr0 = 0x10;  // ET
  state.dr7 = 0x400;
  state.dr6 = 0xFFFF0FF0;
  state.rflags = x86::rflags::fixed1;
  state.g_pat = pat_reset;
  state.sev_features = sev_features;
  state.xcr0 = 1;
  return state;
}

void change_for_ec2(svm::Vmsa& state, u32 eip) {
  if (eip == reset_vector) {
    state.cs.attributes = 0x9A;
  }
  state.ss.attributes = 0x92;
  state.tr.attributes = 0x83;
}

}  // namespace

svm::Vmsa reset_state(VmmType vmm, u32 eip, u32 signature, u64 sev_features) {
  svm::Vmsa state = common_state(sev_features);
  state.cs = {0xF000, 0x9B, segment_limit, eip & 0xFFFF0000};
  state.rip = eip & 0xFFFF;
  state.rdx = vmm == VmmType::qemu ? signature : rdx_after_reset;
  switch (vmm) {
    case VmmType::qemu:
      state.mxcsr = 0x1F80;
      state.x87_fcw = 0x37F;
      break;
    case VmmType::ec2:
      change_for_ec2(state, eip);
      break;
    case VmmType::gce:
      state.g_pat = pat_of_gce;
      break;
  }
  return state;
}

svm::Vmsa svsm_state(u32 eip, u32 signature) {
  constexpr u32 flat_limit = 0xFFFFFFFF;
  svm::Vmsa state = common_state(snp::feature::snp_active);
  state.cs = {8, 0xC9B, flat_limit, 0};
  state.es = state.ss = state.ds = state.fs = {0x10, 0xC93, flat_limit, 0};
  state.cr0 = 0x11;  // ET, PE
  state.rip = eip;
  state.rdx = signature;
  state.mxcsr = 0x1F80;
  return state;
}

// Firmware sheet 2.2.
std::optional<u32> cpu_signature(std::string_view model) {
  struct Row {
    std::string_view name;
    u32 signature;
    unsigned versions;  // -v1 to that
  };
  static constexpr Row rows[] = {
      {"EPYC", 0x800F12, 4},       {"EPYC-IBPB", 0x800F12, 0},  {"EPYC-Rome", 0x830F10, 4},
      {"EPYC-Milan", 0xA00F11, 2}, {"EPYC-Genoa", 0xA10F10, 1}, {"EPYC-Turin", 0xB00F00, 1},
  };
  for (const Row& row : rows) {
    if (model == row.name) {
      return row.signature;
    }
    if (model.starts_with(row.name) && model.size() == row.name.size() + 3 &&
        model.substr(row.name.size(), 2) == "-v" && model.back() >= '1' &&
        static_cast<unsigned>(model.back() - '0') <= row.versions) {
      return row.signature;
    }
  }
  return std::nullopt;
}

// APM3 CPUID Fn0000_0001_EAX: above 15 the family goes on in the extended family.
std::optional<u32> cpu_signature(u64 family, u64 model, u64 stepping) {
  constexpr u64 base_family = 0xF, most_extended = 0xFF;
  if (family > base_family + most_extended || model > 0xFF || stepping > 0xF) {
    return std::nullopt;
  }
  const u64 low = family < base_family ? family : base_family;
  return static_cast<u32>((family - low) << 20 | (model >> 4) << 16 | low << 8 |
                          (model & 0xF) << 4 | stepping);
}

}  // namespace softsnp::attest
