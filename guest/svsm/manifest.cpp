#include "guest/svsm/manifest.hpp"

#include "base/bytes.hpp"

namespace softsnp::svsm {

Manifest services_manifest(Vtpm* vtpm) {
  Manifest manifest;
  ServicesManifestHeader header{services_manifest_guid, sizeof header, 0};
  if (vtpm != nullptr) {
    constexpr u32 data = sizeof header + sizeof(ServiceEntry);
    const usize size = vtpm->endorsement_key(manifest.bytes + data, Manifest::max_bytes - data);
    header.services = 1;
    header.size = data + static_cast<u32>(size);
    store_le(manifest.bytes + sizeof header,
             ServiceEntry{vtpm_service_guid, data, static_cast<u32>(size)});
  }
  store_le(manifest.bytes, header);
  manifest.size = header.size;
  return manifest;
}

bool service_manifest(Vtpm* vtpm, const Guid& service, Manifest& manifest) {
  if (vtpm == nullptr || !(service == vtpm_service_guid)) {
    return false;
  }
  manifest.size = static_cast<u32>(vtpm->endorsement_key(manifest.bytes, Manifest::max_bytes));
  return true;
}

}  // namespace softsnp::svsm
