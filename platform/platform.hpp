// A platform: one chip, and the manufacturer who vouches for it. What its directory holds, as a
// value. All certificates are functions of it, signatures included.
#pragma once

#include <optional>

#include "arch/psp/platform_buffers.hpp"
#include "machine/psp/endorsement_key.hpp"
#include "platform/encoding.hpp"
#include "platform/root_keys.hpp"
#include "platform/settings.hpp"

namespace softsnp::platform {

struct Secrets {
  psp::ChipSecret chip{};
  // The cloud provider's, for the highest TCB there can be: every other follows from it.
  psp::VlekHashstick hashstick{};
};
Secrets random_secrets();
psp::ChipId random_chip_id(psp::Product product);

struct Certificates {
  Der ark, ask, asvk;
  Der vcek, vlek;  // for the reported TCB
  Der crl;         // by the ARK
};

struct Platform {
  Settings settings;
  Secrets secrets;
  RootKeys keys;
  Certificates certificates;
};

// settings: checked.
Platform make_platform(const Settings& settings, const Secrets& secrets, RootKeys keys);

// What the machine needs to be that chip.
psp::ProcessorIdentity identity(const Platform& platform);

// The two keys that can sign reports.
enum class Leaf : u8 { vcek, vlek };

// What verifies the reports of the chip with these settings and secrets.
Key leaf_public_key(const Settings& settings, const Secrets& secrets, Leaf leaf,
                    const psp::TcbComponents& tcb);
// The certificate of the key that the chip (the VLEK) has at any TCB of its product.
Der leaf_certificate(const Platform& platform, Leaf leaf, const psp::TcbComponents& tcb);
// Of the authority above it: ASK or ASVK.
const Der& signer_certificate(const Platform& platform, Leaf leaf);

// For SNP_VLEK_LOAD on this chip while it reports that TCB.
psp::WrappedVlek wrapped_vlek(const Platform& platform, const psp::TcbComponents& tcb);

// Signed by the ARK; serials of ASK, ASVK or both. Platforms are made with none.
Der revocation_list(const Platform& platform, std::vector<u32> revoked);

}  // namespace softsnp::platform
