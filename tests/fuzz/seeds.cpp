// fuzz_seeds FOLDER: writes small well-formed images into FOLDER/fuzz_<name>, as those targets read
// them.
#include <filesystem>
#include <fstream>

#include "tests/attest/ovmf_image.hpp"
#include "tests/fuzz/attestation_seeds.hpp"
#include "tests/image/samples.hpp"

namespace {

using namespace softsnp;
using fuzz::Files;

bool write(const std::filesystem::path& folder, const Files& files) {
  std::filesystem::create_directories(folder);
  for (usize i = 0; i < files.size(); ++i) {
    std::ofstream stream(folder / ("seed-" + std::to_string(i)), std::ios::binary);
    stream.write(reinterpret_cast<const char*>(files[i].data()),
                 static_cast<std::streamsize>(files[i].size()));
    if (!stream) {
      return false;
    }
  }
  return true;
}

// fuzz_bzimage takes a byte of options first.
Files kernels() {
  namespace samples = image::samples;
  Files files = {samples::bzimage(), samples::elf64(), samples::multiboot_addresses(),
                 samples::multiboot_elf32(), samples::multiboot_elf64()};
  for (std::vector<u8>& file : files) {
    file.insert(file.begin(), 1);
  }
  files.push_back(samples::accepting_kernel());
  files.back().insert(files.back().begin(), 1 | 8);
  return files;
}

Files firmware() {
  attest::test::OvmfImage svsm = attest::test::ovmf_x64_image();
  svsm.svsm_launch_offset = 0x20;
  return {attest::test::amd_sev_image().bytes(), svsm.bytes()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::pair<const char*, Files> all[] = {{"fuzz_bzimage", kernels()},
                                               {"fuzz_firmware", firmware()},
                                               {"fuzz_report", fuzz::report_seeds()},
                                               {"fuzz_certificates", fuzz::certificate_seeds()},
                                               {"fuzz_id_block", fuzz::id_block_seeds()}};
  for (const auto& [name, files] : all) {
    if (!write(folder / name, files)) {
      return 1;
    }
  }
  return 0;
}
