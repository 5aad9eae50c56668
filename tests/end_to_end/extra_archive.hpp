// A cpio archive that Linux unpacks after the initramfs proper: files of a test.
#pragma once

#include <string>
#include <vector>

namespace softsnp::end_to_end {

struct ExtraFile {
  std::string path;  // without a leading slash; folders are made
  std::string contents;
  unsigned mode = 0755;
};

// initrd with the files behind it. Linux takes several archives one after the other, an
// uncompressed one at a multiple of four bytes (init/initramfs.c).
std::string with_files(std::string initrd, const std::vector<ExtraFile>& files);

}  // namespace softsnp::end_to_end
