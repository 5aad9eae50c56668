#include "guest/svsm/report_data.hpp"

#include "guest/crypto/sha2.hpp"

namespace softsnp::svsm {

void make_report_data(const u8 (&nonce)[nonce_bytes], const Manifest& manifest, u8 (&data)[64]) {
  crypto::Sha512 sum;
  sum.update(nonce);
  sum.update({manifest.bytes, manifest.size});
  sum.finish(data);
}

}  // namespace softsnp::svsm
