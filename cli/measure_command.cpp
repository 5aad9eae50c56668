#include "cli/measure_command.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "attest/firmware_digest.hpp"
#include "attest/id_block.hpp"
#include "attest/text.hpp"
#include "cli/file.hpp"
#include "cli/large_file.hpp"
#include "image/memory_map.hpp"

namespace softsnp::cli {
namespace {

using Bytes = std::vector<u8>;
using Digest = Result<Bytes, std::string>;  // or one line

// A measured file is only read through.
constexpr u64 largest_file = u64{4} << 30;
constexpr u64 largest_key = u64{1} << 20;

template <class T>
Bytes bytes_of(const T& value) {
  const auto* const bytes = reinterpret_cast<const u8*>(&value);
  return {bytes, bytes + sizeof value};
}

template <class T>
Digest text_result(const Result<T, image::ImageError>& result) {
  return result ? Digest(bytes_of(*result)) : Digest(Failure{result.error().text});
}

Digest measure_direct(const MeasureOptions& options) {
  const auto files = read_guest_files(options);
  if (!files) {
    return Failure{files.error()};
  }
  image::Inputs inputs = guest_inputs(options, *files);
  inputs.vcpu_count = options.vcpus;
  // --injection alternate launches what restricted does; only the host knows the difference.
  if (options.features == snp::launch_features(snp::InjectionMode::restricted)) {
    inputs.injection = snp::InjectionMode::restricted;
  }
  const auto plan = image::build(inputs);
  return plan ? Digest(bytes_of(attest::measure(*plan))) : Digest(Failure{plan.error().text});
}

attest::Vcpus vcpus_of(const MeasureOptions& options) {
  attest::Vcpus vcpus;
  vcpus.count = options.vcpus;
  vcpus.signature = options.signature.value_or(0);
  vcpus.sev_features = options.features.value_or(vcpus.sev_features);
  if (options.launcher == Launcher::ec2) {
    vcpus.vmm = attest::VmmType::ec2;
  } else if (options.launcher == Launcher::gce) {
    vcpus.vmm = attest::VmmType::gce;
  }
  return vcpus;
}

// The file's bytes must stay.
Result<image::Firmware, std::string> parse(const std::string& path, std::span<const u8> bytes,
                                           GuestPhysical end) {
  auto firmware = image::parse_firmware({path, bytes}, end);
  if (!firmware) {
    return Failure{firmware.error().text};
  }
  return std::move(*firmware);
}

Result<attest::Hashes, std::string> hash_kernel(const MeasureOptions& options) {
  if (options.kernel.empty()) {
    return attest::Hashes();
  }
  const auto kernel = read_file(options.kernel, largest_file, Empty::allowed);
  if (!kernel) {
    return Failure{kernel.error()};
  }
  Bytes initrd;
  if (!options.initrd.empty()) {
    auto read = read_file(options.initrd, largest_file, Empty::allowed);
    if (!read) {
      return Failure{read.error()};
    }
    initrd = std::move(*read);
  }
  return attest::Hashes(attest::kernel_hashes({*kernel, initrd, options.append}));
}

Digest measure_with_svsm(const MeasureOptions& options, const image::Firmware& firmware) {
  const auto end = attest::svsm_end(firmware, options.variables_size.value_or(0));
  if (!end) {
    return Failure{std::string("--vars-size: no room below ") + options.ovmf};
  }
  const auto file = read_large_file(options.svsm_file, image::maximum_firmware_size);
  if (!file) {
    return Failure{file.error()};
  }
  const auto svsm = parse(options.svsm_file, file->bytes(), *end);
  if (!svsm) {
    return Failure{svsm.error()};
  }
  return text_result(attest::measure_svsm(firmware, *svsm, vcpus_of(options)));
}

Digest measure_firmware(const MeasureOptions& options) {
  const auto file = read_large_file(options.ovmf, image::maximum_firmware_size);
  if (!file) {
    return Failure{file.error()};
  }
  const auto firmware = parse(options.ovmf, file->bytes(), image::firmware_end);
  if (!firmware) {
    return Failure{firmware.error()};
  }
  const auto hashes = hash_kernel(options);
  if (!hashes) {
    return Failure{hashes.error()};
  }
  const attest::Vcpus vcpus = vcpus_of(options);
  switch (options.mode) {
    case MeasureMode::snp:
      return text_result(attest::measure_snp(*firmware, *hashes, vcpus, options.ovmf_digest));
    case MeasureMode::svsm:
      return measure_with_svsm(options, *firmware);
    case MeasureMode::sev_es:
      return text_result(attest::measure_sev(*firmware, *hashes, vcpus));
    case MeasureMode::sev:
      break;
  }
  return text_result(attest::measure_sev(*firmware, *hashes, {}));
}

Result<attest::SigningKey, std::string> load_key(const std::string& path) {
  const auto pem = read_file(path, largest_key);
  if (!pem) {
    return Failure{pem.error()};
  }
  return attest::SigningKey::from_pem(path, *pem);
}

Result<void, std::string> write_id_block(const MeasureOptions& options, const Bytes& digest) {
  const auto id_key = load_key(options.id_key);
  if (!id_key) {
    return Failure{id_key.error()};
  }
  std::optional<attest::SigningKey> author_key;
  if (!options.author_key.empty()) {
    auto loaded = load_key(options.author_key);
    if (!loaded) {
      return Failure{loaded.error()};
    }
    author_key.emplace(std::move(*loaded));
  }
  psp::Digest launch_digest;
  std::copy(digest.begin(), digest.end(), launch_digest.bytes);
  const psp::IdBlock block = attest::make_id_block(
      launch_digest, {options.family_id, options.image_id, options.guest_svn, options.policy});
  const auto auth = attest::sign_id_block(block, *id_key, author_key ? &*author_key : nullptr);
  if (!auth) {
    return Failure{std::string("libcrypto cannot sign with ") + options.id_key};
  }
  auto written = write_file(options.id_block_out, bytes_of(block));
  return written ? write_file(options.id_auth_out, bytes_of(*auth)) : written;
}

int refuse(const std::string& text) {
  constexpr int bad_input = 2;
  fmt::print(stderr, "softsnp: {}\n", text);
  return bad_input;
}

}  // namespace

int measure_command(const MeasureOptions& options) {
  attest::start_libcrypto();
  const Digest digest = options.ovmf.empty() ? measure_direct(options) : measure_firmware(options);
  if (!digest) {
    return refuse(digest.error());
  }
  if (!options.id_key.empty()) {
    if (const auto written = write_id_block(options, *digest); !written) {
      return refuse(written.error());
    }
  }
  fmt::print("{}\n", options.base64 ? attest::base64_text(*digest) : attest::hex_text(*digest));
  return std::fflush(stdout) == 0 ? 0 : refuse("standard output: cannot be written");
}

}  // namespace softsnp::cli
