// Any file as kernel: the loader answers with one line or with a plan that keeps its properties.
// Input: one byte of options, then the kernel.
#include "tests/image/plan_checks.hpp"

namespace {

using namespace softsnp;

void run(std::span<const u8> input) {
  const u8 options = input[0];
  image::Inputs inputs;
  inputs.kernel = {"kernel", input.subspan(1)};
  inputs.mode = (options & 1) != 0 ? image::Mode::snp : image::Mode::plain;
  inputs.memory_size = u64{(options & 2) != 0 ? 24u : 48u} << 20;
  if ((options & 4) != 0) {
    inputs.initrd = inputs.kernel;
  }
  if ((options & 8) != 0) {
    inputs.acceptance = image::Acceptance::lazy;
  }
  inputs.append = "console=ttyS0";
  const auto plan = image::build(inputs);
  if (plan.ok()) {
    if (!image::checks::broken_invariant(*plan).empty()) {
      __builtin_trap();
    }
  } else if (plan.error().text.empty() || plan.error().text.find('\n') != std::string::npos) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const softsnp::u8* data, softsnp::usize size) {
  if (size > 0) {
    run({data, size});
  }
  return 0;
}
