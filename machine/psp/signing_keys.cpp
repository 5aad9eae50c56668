#include "machine/psp/signing_keys.hpp"

#include <cstdlib>

namespace softsnp::psp {

std::optional<SigningKey> choose_key(const PspState& state, const GuestContext& context,
                                     KeySelect select) {
  const bool has_vlek = state.vlek.has_value();
  switch (select) {
    case KeySelect::vlek_else_vcek:
      if (!has_vlek && context.vcek_dis) {
        return std::nullopt;
      }
      return has_vlek ? SigningKey::vlek : SigningKey::vcek;
    case KeySelect::vcek:
      return context.vcek_dis ? std::nullopt : std::optional(SigningKey::vcek);
    case KeySelect::vlek:
      return has_vlek ? std::optional(SigningKey::vlek) : std::nullopt;
    case KeySelect::reserved:
      return std::nullopt;
  }
  return std::nullopt;
}

const EndorsementKey& SigningKeys::vcek(const TcbVersion& tcb) {
  if (!vcek_ || vcek_->tcb != tcb) {
    vcek_ = Vcek{tcb, derive_vcek(chip_.secret, tcb)};
  }
  return vcek_->key;
}

const EndorsementKey& SigningKeys::vlek(const LoadedVlek& loaded, const TcbVersion& wanted) {
  if (!vlek_ || vlek_->loaded != loaded || vlek_->wanted != wanted) {
    const std::optional<EndorsementKey> key =
        derive_vlek(loaded.hashstick, loaded.made_for, wanted);
    if (!key) {
      std::abort();  // SNP_CONFIG drops a VLEK that does not reach the reported TCB
    }
    vlek_ = Vlek{loaded, wanted, *key};
  }
  return vlek_->key;
}

}  // namespace softsnp::psp
