#include "cli/guest_files.hpp"

#include <fmt/format.h>

#include "arch/snp/features.hpp"
#include "cli/file.hpp"
#include "guest/samples/embedded.hpp"
#include "guest/vmpl0/embedded.hpp"
#include "image/memory_map.hpp"

namespace softsnp::cli {

Result<GuestFiles, std::string> read_guest_files(const GuestOptions& options) {
  if (options.memory < image::minimum_memory || options.memory > image::maximum_memory) {
    return Failure{fmt::format("--memory: {} MiB is outside {} MiB to {} MiB", options.memory >> 20,
                               image::minimum_memory >> 20, image::maximum_memory >> 20)};
  }
  GuestFiles files;
  if (!options.kernel.empty()) {
    auto kernel = read_file(options.kernel, options.memory);
    if (!kernel) {
      return Failure{kernel.error()};
    }
    files.kernel = std::move(*kernel);
  }
  if (!options.initrd.empty()) {
    auto initrd = read_file(options.initrd, options.memory);
    if (!initrd) {
      return Failure{initrd.error()};
    }
    files.initrd = std::move(*initrd);
  }
  return std::move(files);
}

image::Inputs guest_inputs(const GuestOptions& options, const GuestFiles& files) {
  image::Inputs inputs;
  const bool sample = options.kernel.empty();
  inputs.kernel.name = sample ? "built-in sample guest" : options.kernel;
  const auto built_in = options.svsm ? guest::svsm_guest_image() : guest::sample_image();
  inputs.kernel.bytes = sample ? built_in : std::span<const u8>(files.kernel);
  inputs.initrd = {options.initrd, files.initrd};
  inputs.append = options.append;
  inputs.memory_size = options.memory;
  inputs.acceptance = options.acceptance;
  if (options.svsm) {
    inputs.svsm = image::Svsm{{"built-in SVSM", guest::svsm_image()}};
  }
  inputs.c_bit = snp::c_bit;
  return inputs;
}

}  // namespace softsnp::cli
