#include "hypervisor/host/sev_device.hpp"

#include <cerrno>

#include "arch/psp/sev_buffers.hpp"

namespace softsnp::host {

// Linux only talks to an initialised firmware, and initialises it before.
Result<void, Error> SevDevice::command(psp::Command id, std::span<u8> buffer, const char* what) {
  if (auto enabled = platform_.enable_snp(); !enabled) {
    return enabled;
  }
  const psp::Status status = psp_.command(id, buffer);
  if (status != psp::Status::success) {
    return Failure{Error{EIO, static_cast<u16>(status), std::string(what) + " failed"}};
  }
  return {};
}

// The firmware writes into pages that are its own meanwhile: one for the PDH, two for the chain.
Result<SevPlatformCertificates, Error> SevDevice::pdh_cert_export() {
  constexpr unsigned pages = 3;
  if (auto enabled = platform_.enable_sev(); !enabled) {
    return Failure{enabled.error()};
  }
  const auto first = memory_.allocate_contiguous(pages);
  if (!first) {
    return Failure{Error{ENOMEM, 0, "no memory for the platform's certificates"}};
  }
  for (unsigned i = 0; i < pages; ++i) {
    if (auto given = rmp_.make_firmware(*first + i * page_size); !given) {
      return Failure{given.error()};
    }
  }
  psp::SevPdhCertExport buffer{first->value(), sizeof(psp::SevCertificate), 0,
                               (*first + page_size).value(), sizeof(psp::SevCertificateChain)};
  const psp::Status status =
      sev_.command(psp::Command::pdh_cert_export, {reinterpret_cast<u8*>(&buffer), sizeof buffer});
  for (unsigned i = 0; i < pages; ++i) {
    if (auto taken = rmp_.reclaim(*first + i * page_size, PageSize::size_4k); !taken) {
      return Failure{taken.error()};
    }
  }
  SevPlatformCertificates exported;
  memory_.load_own(*first, {reinterpret_cast<u8*>(&exported.pdh), sizeof exported.pdh});
  memory_.load_own(*first + page_size,
                   {reinterpret_cast<u8*>(&exported.chain), sizeof exported.chain});
  for (unsigned i = 0; i < pages; ++i) {
    memory_.release(*first + i * page_size, PageSize::size_4k);
  }
  if (status != psp::Status::success) {
    return Failure{Error{EIO, static_cast<u16>(status), "PDH_CERT_EXPORT failed"}};
  }
  return exported;
}

Result<void, Error> SevDevice::snp_commit() {
  psp::SnpCommit commit{sizeof commit};
  return command(psp::Command::snp_commit, commit, "SNP_COMMIT");
}

Result<void, Error> SevDevice::snp_set_config(const psp::SnpConfig& config) {
  psp::SnpConfig buffer = config;
  return command(psp::Command::snp_config, buffer, "SNP_CONFIG");
}

Result<void, Error> SevDevice::snp_vlek_load(const psp::WrappedVlek& wrapped) {
  const auto page = memory_.allocate(PageSize::size_4k);
  if (!page) {
    return Failure{Error{ENOMEM, 0, "no memory for a wrapped VLEK"}};
  }
  memory_.store_value(*page, wrapped);
  psp::SnpVlekLoad load{sizeof load, psp::SnpVlekLoad::version_0, {}, page->value()};
  auto loaded = command(psp::Command::snp_vlek_load, load, "SNP_VLEK_LOAD");
  memory_.release(*page, PageSize::size_4k);
  return loaded;
}

}  // namespace softsnp::host
