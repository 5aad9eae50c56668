// fuzz_seeds FOLDER: writes one well-formed small image of each kind, as fuzz_bzimage reads them.
#include <filesystem>
#include <fstream>

#include "tests/image/samples.hpp"

int main(int argc, char** argv) {
  using namespace softsnp;
  namespace samples = image::samples;
  if (argc != 2) {
    return 2;
  }
  const std::vector<std::vector<u8>> files = {
      samples::bzimage(), samples::elf64(), samples::multiboot_addresses(),
      samples::multiboot_elf32(), samples::multiboot_elf64()};
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  for (usize i = 0; i < files.size(); ++i) {
    std::ofstream stream(folder / ("seed-" + std::to_string(i)), std::ios::binary);
    stream.put('\1');
    stream.write(reinterpret_cast<const char*>(files[i].data()),
                 static_cast<std::streamsize>(files[i].size()));
    if (!stream) {
      return 1;
    }
  }
  return 0;
}
