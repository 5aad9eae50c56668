#include "machine/psp/drbg.hpp"

#include <algorithm>

#include "base/bytes.hpp"

namespace softsnp::psp {

namespace {

struct Input {
  u64 seed;
  u64 stream;
  u64 index;
  u64 block;
};

Digest block_of(const Input& input, Sha384& sha) {
  u8 bytes[sizeof input];
  store_le(bytes, input);
  return sha(bytes);
}

}  // namespace

void draw(Drbg& drbg, Sha384& sha, std::span<u8> to) {
  derive(drbg.seed, RandomStream::secrets, drbg.counter++, sha, to);
}

void derive(u64 seed, RandomStream stream, u64 index, Sha384& sha, std::span<u8> to) {
  Input input{seed, static_cast<u64>(stream), index, 0};
  while (!to.empty()) {
    const Digest block = block_of(input, sha);
    const usize count = std::min(to.size(), digest_bytes);
    std::copy_n(block.bytes, count, to.data());
    to = to.subspan(count);
    ++input.block;
  }
}

}  // namespace softsnp::psp
