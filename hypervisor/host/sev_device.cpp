#include "hypervisor/host/sev_device.hpp"

#include <cerrno>

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
