#include "guest/svsm/report_data.hpp"

#include "guest/svsm/sha512.hpp"

namespace softsnp::svsm {

void make_report_data(const u8 (&nonce)[nonce_bytes], const Manifest& manifest, u8 (&data)[64]) {
  Sha512 sum;
  sum.add(nonce, sizeof nonce);
  sum.add(manifest.bytes, manifest.size);
  sum.finish(data);
}

}  // namespace softsnp::svsm
