// What each processor of the SVSM has for itself.
#pragma once

#include "arch/ghcb/ghcb.hpp"
#include "arch/svm/vmsa.hpp"
#include "guest/svsm/vcpu_table.hpp"

namespace softsnp::svsm {

inline constexpr usize stack_bytes = 16384;

struct ProcessorPages {
  alignas(page_size) u8 stacks[max_vcpus][stack_bytes];
  // Shared with the host once the SVSM runs.
  alignas(page_size) ghcb::Ghcb ghcbs[max_vcpus];
  // 0: of the guest's first vCPU; others: of the SVSM itself, on that vCPU.
  alignas(page_size) svm::Vmsa vmsas[max_vcpus];
};

// Which processor this code runs on: its stack tells.
usize this_processor();
u64 stack_top(usize processor);

}  // namespace softsnp::svsm

extern "C" softsnp::svsm::ProcessorPages svsm_processors;
