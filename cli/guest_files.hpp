// The guest that starts directly with its kernel: what the command line says of it, the files, and
// what the loader makes a plan from. The same for running and for measuring.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "arch/psp/tcb_version.hpp"
#include "base/result.hpp"
#include "image/image.hpp"

namespace softsnp::cli {

struct GuestOptions {
  std::string kernel;  // empty: the built-in sample guest
  std::string initrd;
  std::string append;
  u64 memory = u64{512} << 20;
  image::Acceptance acceptance = image::Acceptance::eager;
  bool svsm = false;                    // the built-in one
  std::optional<psp::Product> product;  // Genoa unless said
};

// Kept only until the plan is made.
struct GuestFiles {
  std::vector<u8> kernel;
  std::vector<u8> initrd;
};

// One line about what cannot be read.
Result<GuestFiles, std::string> read_guest_files(const GuestOptions& options);

// Of mode snp, without a CPUID table, which is not measured. The files must outlive the result.
image::Inputs guest_inputs(const GuestOptions& options, const GuestFiles& files);

}  // namespace softsnp::cli
