// Any file as OVMF or SVSM image: one line, or a description that stays within its promises and can
// be measured.
#include "attest/firmware_digest.hpp"

namespace {

using namespace softsnp;

void require(bool condition) {
  if (!condition) {
    __builtin_trap();
  }
}

u64 pages(const image::Firmware& firmware) {
  u64 total = 0;
  if (firmware.sections) {
    for (const image::FirmwareSection& section : *firmware.sections) {
      require(section.gpa.is_page_aligned() && section.length != 0 &&
              section.end() <= image::firmware_end);
      total += section.length / page_size;
    }
  }
  return total;
}

void run(std::span<const u8> input) {
  constexpr u64 quickly_measured = 0x100;
  const auto firmware = image::parse_firmware({"firmware", input});
  if (!firmware) {
    require(firmware.error().text.find('\n') == std::string::npos);
    return;
  }
  require(pages(*firmware) <= image::firmware_end.page_number());
  if (pages(*firmware) > quickly_measured) {
    return;
  }
  const attest::Hashes hashes = attest::kernel_hashes({});
  static_cast<void>(attest::measure_snp(*firmware, hashes, {attest::VmmType::ec2, 2, 0, 1}).ok());
  static_cast<void>(attest::measure_sev(*firmware, hashes, attest::Vcpus{}).ok());
  const auto svsm = image::parse_firmware({"svsm", input}, firmware->base);
  if (svsm) {
    static_cast<void>(attest::measure_svsm(*firmware, *svsm, {}).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const softsnp::u8* data, softsnp::usize size) {
  run({data, size});
  return 0;
}
