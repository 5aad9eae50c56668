// PEK_GEN, PEK_CSR, PEK_CERT_IMPORT, PDH_GEN, PDH_CERT_EXPORT. Firmware sheet 7.1, 7.4.
#include <cstring>

#include "arch/psp/sev_buffers.hpp"
#include "machine/psp/sev_handlers.hpp"
#include "machine/psp/sev_identity.hpp"
#include "machine/psp/sev_operands.hpp"

namespace softsnp::psp {

Status sev_pek_gen(Firmware& firmware, Request& request) {
  // Only the owner's OCA could sign the new PEK for an owned platform: it owns itself again.
  return save_identity(firmware, request, make_sev_identity(firmware));
}

// The PEK's certificate without signatures; whoever will own the platform signs it.
Status sev_pek_csr(Firmware& firmware, Request& request) {
  auto command = request.as<SevPekCsr>();
  const bool fits = command.length >= sizeof(SevCertificate);
  command.length = sizeof(SevCertificate);
  request.put(command);
  if (!fits) {
    return request.fail(Status::invalid_length, "the buffer is shorter than a certificate");
  }
  const MemoryRange to = MemoryRange::of(command.paddr, sizeof(SevCertificate));
  const Status status = check_writable(firmware, request, to);
  if (status == Status::success) {
    SevCertificate csr = firmware.state.sev.identity->pek;
    for (SevSignature& signature : csr.signatures) {
      signature = {};
      signature.usage = static_cast<u32>(SevKeyUsage::none);
    }
    firmware.port.write_value(to.at, csr);
  }
  return status;
}

namespace {

struct ImportedCertificates {
  SevCertificate pek;
  SevCertificate oca;
};

Status check_import(const Firmware& firmware, Request& request,
                    const ImportedCertificates& imported) {
  const SevCertificate& own = firmware.state.sev.identity->pek;
  const bool own_pek = std::memcmp(&imported.pek, &own, SevCertificate::signed_bytes) == 0;
  if (!own_pek || !is_key_certificate(firmware, imported.oca, SevKeyUsage::oca)) {
    return request.fail(Status::invalid_certificate,
                        "not this platform's PEK, or not the certificate of an OCA");
  }
  if (!is_signed_by(imported.oca, imported.oca) || !is_signed_by(imported.pek, imported.oca)) {
    return request.fail(Status::bad_signature, "the OCA did not sign itself and the PEK");
  }
  return Status::success;
}

// The OCA's signature in one slot, the chip's in the other.
SevCertificate endorse(const Firmware& firmware, const SevCertificate& imported) {
  SevCertificate pek = imported;
  const bool first = imported.signatures[0].usage == static_cast<u32>(SevKeyUsage::oca);
  sign_certificate(firmware, pek, first ? 1 : 0, SevKeyUsage::cek, cek_key(firmware));
  return pek;
}

}  // namespace

Status sev_pek_cert_import(Firmware& firmware, Request& request) {
  const auto command = request.as<SevPekCertImport>();
  if (firmware.state.sev.identity->externally_owned != 0) {
    return request.fail(Status::already_owned, "the platform has an owner");
  }
  if (command.pek_len != sizeof(SevCertificate) || command.oca_len != sizeof(SevCertificate)) {
    return request.fail(Status::invalid_length, "a certificate has 824h bytes");
  }
  const MemoryRange pek = MemoryRange::of(command.pek_paddr, command.pek_len);
  const MemoryRange oca = MemoryRange::of(command.oca_paddr, command.oca_len);
  Status status = check_readable(firmware, request, pek);
  if (status == Status::success) {
    status = check_readable(firmware, request, oca);
  }
  if (status != Status::success) {
    return status;
  }
  ImportedCertificates imported;
  firmware.port.read_value(pek.at, imported.pek);
  firmware.port.read_value(oca.at, imported.oca);
  status = check_import(firmware, request, imported);
  if (status != Status::success) {
    return status;
  }
  SevIdentity identity = *firmware.state.sev.identity;
  identity.oca = imported.oca;
  identity.oca_key = {};
  identity.pek = endorse(firmware, imported.pek);
  identity.externally_owned = 1;
  renew_pdh(firmware, identity);
  return save_identity(firmware, request, identity);
}

Status sev_pdh_gen(Firmware& firmware, Request& request) {
  SevIdentity identity = *firmware.state.sev.identity;
  renew_pdh(firmware, identity);
  return save_identity(firmware, request, identity);
}

Status sev_pdh_cert_export(Firmware& firmware, Request& request) {
  auto command = request.as<SevPdhCertExport>();
  const bool fits =
      command.pdh_len >= sizeof(SevCertificate) && command.chain_len >= sizeof(SevCertificateChain);
  command.pdh_len = sizeof(SevCertificate);
  command.chain_len = sizeof(SevCertificateChain);
  request.put(command);
  if (!fits) {
    return request.fail(Status::invalid_length, "a buffer is shorter than its certificates");
  }
  const MemoryRange pdh = MemoryRange::of(command.pdh_paddr, command.pdh_len);
  const MemoryRange chain = MemoryRange::of(command.chain_paddr, command.chain_len);
  Status status = check_writable(firmware, request, pdh);
  if (status == Status::success) {
    status = check_writable(firmware, request, chain);
  }
  if (status == Status::success) {
    const SevIdentity& identity = *firmware.state.sev.identity;
    firmware.port.write_value(pdh.at, identity.pdh);
    firmware.port.write_value(chain.at,
                              SevCertificateChain{identity.pek, identity.oca, identity.cek});
  }
  return status;
}

}  // namespace softsnp::psp
