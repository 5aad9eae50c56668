// SSE to SSE4.2, SSE4a, AES, PCLMULQDQ, MMX, FXSAVE and XSAVE: one table from its parts.
#include "machine/cpu/decode/rows_sse.hpp"

#include <vector>

namespace softsnp::cpu {
namespace {

std::vector<Row> joined() {
  std::vector<Row> all;
  for (const auto part :
       {rows_sse_integer(), rows_sse_float(), rows_sse_move(), rows_mmx(), rows_xsave()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

std::span<const Row> rows_sse() {
  static const std::vector<Row> all = joined();
  return all;
}

}  // namespace softsnp::cpu
