#include "tests/end_to_end/linux_guest.hpp"

#include <algorithm>
#include <filesystem>

#include "tests/end_to_end/extra_archive.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

std::span<const u8> bytes(const std::string& text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

// Files of a host's folder as files of the guest's, in the same order everywhere.
void add_folder(const std::filesystem::path& from, const std::filesystem::path& to,
                std::vector<ExtraFile>& files) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    files.push_back({(to / name).string(), contents_of((from / name).string())});
  }
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

LinuxGuest::LinuxGuest(const std::string& version)
    : version_(version),
      kernel_(contents_of(guest_file("vmlinuz-" + version))),
      initrd_(contents_of(guest_file("initrd.gz"))) {}

GuestOptions LinuxGuest::options(image::Mode mode) const {
  GuestOptions options;
  options.mode = mode;
  options.memory = u64{512} << 20;
  options.kernel = {"vmlinuz-" + version_, bytes(kernel_)};
  options.initrd = {"initrd.gz", bytes(initrd_)};
  options.append = std::string("console=ttyS0 panic=-1 softsnp.selfcheck=") +
                   (mode == image::Mode::snp ? "snp" : "plain");
  options.timeout = std::chrono::seconds(800);
  return options;
}

GuestOptions LinuxGuest::options_for(const std::string& script, image::Mode mode) {
  if (with_tools_.empty()) {
    with_tools_ = initrd_with_tools();
  }
  GuestOptions options = this->options(mode);
  options.initrd = {"initrd.gz with guest_tools", bytes(with_tools_)};
  options.append = append_for(script);
  return options;
}

std::string LinuxGuest::initrd_with_tools() const {
  std::vector<ExtraFile> files;
  const bool modules_in_initrd = version_ == "6.12" || version_ == "6.1";
  if (!modules_in_initrd) {
    const std::string folder = guest_file("modules-" + version_);
    add_folder(folder, "lib/modules/" + first_line(contents_of(folder + "/release")), files);
  }
  add_folder(SOFTSNP_GUEST_TOOLS, "tools", files);
  files.push_back({"tools/guest_request", contents_of(SOFTSNP_GUEST_REQUEST)});
  return with_files(initrd_, files);
}

}  // namespace softsnp::end_to_end
