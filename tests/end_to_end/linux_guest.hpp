// Debian's 6.12 kernel as a guest of this process: with the self-check, or with a script of
// guest_tools/.
#pragma once

#include "tests/end_to_end/extra_archive.hpp"
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

  // The initramfs goes on with guest_tools/: its scripts, of which one is run, and its program.
  GuestOptions options_for(const std::string& script) {
    if (with_tools_.empty()) {
      with_tools_ = initrd_with_tools();
    }
    GuestOptions options = this->options(image::Mode::snp);
    options.initrd = {"initrd.gz with guest_tools", bytes(with_tools_)};
    options.append = append_for(script);
    return options;
  }
  std::string initrd_with_tools() const {
    return with_files(initrd_, {tool("common.sh"),
                                tool("honest.sh"),
                                tool("act.sh"),
                                tool("throttled.sh"),
                                {"tools/guest_request", contents_of(SOFTSNP_GUEST_REQUEST)}});
  }
  static std::string append_for(const std::string& script) {
    return "console=ttyS0 panic=-1 softsnp.run=/tools/" + script;
  }

 private:
  static ExtraFile tool(const std::string& name) {
    return {"tools/" + name, contents_of(SOFTSNP_GUEST_TOOLS "/" + name)};
  }
  static std::span<const u8> bytes(const std::string& text) {
    return {reinterpret_cast<const u8*>(text.data()), text.size()};
  }
  std::string kernel_, initrd_, with_tools_;
};

}  // namespace softsnp::end_to_end
