// Debian's kernels as guests of this process: with the self-check, or with a script of
// guest_tools/.
#pragma once

#include "tests/end_to_end/guest_run.hpp"

namespace softsnp::end_to_end {

// Owns the files; outlives the runs made of its options.
class LinuxGuest {
 public:
  // "6.12" and "6.1" are the cloud kernels, "6.1-generic" has the driver that 6.1 lacks there.
  explicit LinuxGuest(const std::string& version = "6.12");

  // False: scripts/fetch_kernels.sh --tests and scripts/make_initramfs.sh have not been run.
  bool is_there() const { return !kernel_.empty() && !initrd_.empty(); }

  GuestOptions options(image::Mode mode) const;
  // The initramfs goes on with guest_tools/: its scripts, of which one is run, and its program.
  GuestOptions options_for(const std::string& script, image::Mode mode = image::Mode::snp);
  std::string initrd_with_tools() const;
  static std::string append_for(const std::string& script) {
    return "console=ttyS0 panic=-1 softsnp.run=/tools/" + script;
  }

 private:
  std::string version_, kernel_, initrd_, with_tools_;
};

}  // namespace softsnp::end_to_end
