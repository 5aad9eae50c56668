#include "tests/end_to_end/extra_archive.hpp"

#include <fmt/format.h>

#include <set>

#include "base/types.hpp"

namespace softsnp::end_to_end {
namespace {

constexpr unsigned folder = 0040000, regular = 0100000;

void pad(std::string& archive) {
  archive.resize((archive.size() + 3) / 4 * 4, '\0');
}

// Linux Documentation/driver-api/early-userspace/buffer-format.rst: thirteen numbers of eight
// hexadecimal digits behind the magic number.
void add(std::string& archive, const std::string& path, unsigned mode, std::string_view contents) {
  const usize numbers[] = {0, mode, 0, 0, 1, 0, contents.size(), 0, 0, 0, 0, path.size() + 1, 0};
  archive += "070701";
  for (const usize number : numbers) {
    archive += fmt::format("{:08X}", number);
  }
  archive += path;
  archive += '\0';
  pad(archive);
  archive += contents;
  pad(archive);
}

}  // namespace

std::string with_files(std::string initrd, const std::vector<ExtraFile>& files) {
  pad(initrd);
  std::set<std::string> folders;
  for (const ExtraFile& file : files) {
    for (auto at = file.path.find('/'); at != std::string::npos; at = file.path.find('/', at + 1)) {
      const std::string parent = file.path.substr(0, at);
      if (folders.insert(parent).second) {
        add(initrd, parent, folder | 0755, {});
      }
    }
    add(initrd, file.path, regular | file.mode, file.contents);
  }
  add(initrd, "TRAILER!!!", 0, {});
  return initrd;
}

}  // namespace softsnp::end_to_end
