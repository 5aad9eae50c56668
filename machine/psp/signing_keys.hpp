// Which key signs or roots what a guest asks for, and the keys themselves. Firmware sheet 4.3, 4.4.
#pragma once

#include <optional>

#include "arch/psp/guest_message.hpp"
#include "machine/psp/chip.hpp"
#include "machine/psp/guest_context.hpp"
#include "machine/psp/state.hpp"

namespace softsnp::psp {

// VCEK or VLEK; nothing if the selection is reserved or the key cannot be used. MASK_CHIP_KEY is
// the caller's business: a report goes without signature then, a derived key is refused.
std::optional<SigningKey> choose_key(const PspState& state, const GuestContext& context,
                                     KeySelect select);

// Remembers the keys in use: deriving one takes two thousand hashes.
class SigningKeys {
 public:
  explicit SigningKeys(const Chip& chip) : chip_(chip) {}

  const Chip& chip() const { return chip_; }
  const EndorsementKey& vcek(const TcbVersion& tcb);
  // Requires that no component of wanted is above the one the VLEK was made for.
  const EndorsementKey& vlek(const LoadedVlek& loaded, const TcbVersion& wanted);
  EcdsaSignature sign(const EndorsementKey& key, const Digest& digest) const {
    return p384_.sign(key.private_key, digest);
  }

 private:
  struct Vcek {
    TcbVersion tcb;
    EndorsementKey key;
  };
  struct Vlek {
    LoadedVlek loaded;
    TcbVersion wanted;
    EndorsementKey key;
  };

  Chip chip_;
  P384 p384_;
  std::optional<Vcek> vcek_;
  std::optional<Vlek> vlek_;
};

}  // namespace softsnp::psp
