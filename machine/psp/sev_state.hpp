// What the firmware knows of legacy SEV: platform, identity, guests. Firmware sheet 1.4, 7.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "arch/address.hpp"
#include "arch/psp/sev_certificate.hpp"
#include "arch/psp/sev_policy.hpp"
#include "machine/memory/crypt/key_table.hpp"
#include "machine/psp/aes_ctr.hpp"
#include "machine/psp/p384.hpp"
#include "machine/psp/sha256.hpp"

namespace softsnp::psp {

// Keys and certificates that outlive a shutdown (firmware sheet 7.4). oca_key only while the
// platform owns itself.
struct SevIdentity {
  P384Scalar oca_key{};
  P384Scalar pek_key{};
  P384Scalar pdh_key{};
  SevCertificate oca{};
  SevCertificate pek{};
  SevCertificate pdh{};
  SevCertificate cek{};
  u32 externally_owned = 0;
};

// Transport encryption and integrity keys.
struct SevTransportKeys {
  Key128 encryption{};
  Key128 integrity{};
  friend bool operator==(const SevTransportKeys&, const SevTransportKeys&) = default;
};

struct SevGuest {
  SevGuestState state = SevGuestState::lupdate;
  u32 policy = 0;
  Asid asid = Asid::host;  // host: not activated
  memory::MemoryKey vek{};
  SevTransportKeys transport;
  Sha256Stream launch_stream;
  Sha256Digest launch_digest{};
  Sha256Digest measurement_mac{};    // of LAUNCH_MEASURE; binds secrets to it
  std::vector<u32> checksum_blocks;  // in the TMR, of its save areas

  bool active() const { return asid != Asid::host; }
  bool encrypted_state() const { return (policy & sev_policy::es) != 0; }
};

// Memory that INIT took for SEV-ES.
struct SevTmr {
  SystemPhysical base;
  u64 bytes = 0;
  bool touches(SystemPhysical at, u64 count) const {
    return bytes != 0 && count != 0 && at.value() < base.value() + bytes &&
           base.value() < at.value() + count;
  }
};

struct SevState {
  static constexpr usize max_guests = 1006;  // as many as ASIDs
  SevPlatformState platform = SevPlatformState::uninit;
  bool es = false;  // CONFIG_ES
  SevTmr tmr;
  std::optional<SystemPhysical> nv;     // INIT_EX: where the identity is kept
  std::optional<SevIdentity> identity;  // in use
  std::optional<SevIdentity> flash;     // in the processor's own storage
  u32 next_handle = 1;
  std::map<u32, SevGuest> guests;  // by handle
  std::set<u32> checksum_blocks;   // of all guests
};

}  // namespace softsnp::psp
