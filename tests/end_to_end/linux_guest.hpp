// Debian's 6.12 kernel with the self-check as a guest of this process.
#pragma once

#include "tests/end_to_end/guest_run.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {

// Owns the files; outlives the runs made of its options.
class LinuxGuest {
 public:
  LinuxGuest()
      : kernel_(contents_of(guest_file("vmlinuz-6.12"))),
        initrd_(contents_of(guest_file("initrd.gz"))) {}

  // False: scripts/fetch_kernels.sh and scripts/make_initramfs.sh have not been run.
  bool is_there() const { return !kernel_.empty() && !initrd_.empty(); }

  GuestOptions options(image::Mode mode) const {
    GuestOptions options;
    options.mode = mode;
    options.memory = u64{512} << 20;
    options.kernel = {"vmlinuz-6.12", bytes(kernel_)};
    options.initrd = {"initrd.gz", bytes(initrd_)};
    options.append = std::string("console=ttyS0 panic=-1 softsnp.selfcheck=") +
                     (mode == image::Mode::snp ? "snp" : "plain");
    options.timeout = std::chrono::seconds(800);
    return options;
  }

 private:
  static std::span<const u8> bytes(const std::string& text) {
    return {reinterpret_cast<const u8*>(text.data()), text.size()};
  }
  std::string kernel_, initrd_;
};

}  // namespace softsnp::end_to_end
