#include "guest/crypto/aes_gcm.hpp"

#include "guest/crypto/wipe.hpp"

namespace softsnp::crypto {
namespace {

constexpr usize block_bytes = Aes256::block_bytes;
constexpr usize stretch_bytes = Aes256::blocks_at_once * block_bytes;

u64 load_be(const u8* at, usize available) {
  u64 value = 0;
  for (usize i = 0; i < 8; ++i) {
    value = value << 8 | (i < available ? at[i] : 0);
  }
  return value;
}

void store_be(u8* at, u64 value) {
  for (unsigned i = 0; i < 8; ++i) {
    at[i] = static_cast<u8>(value >> (56 - 8 * i));
  }
}

void counter_block(u8* to, const u8* iv, u32 counter) {
  for (usize i = 0; i < AesGcm::iv_bytes; ++i) {
    to[i] = iv[i];
  }
  for (unsigned i = 0; i < 4; ++i) {
    to[AesGcm::iv_bytes + i] = static_cast<u8>(counter >> (24 - 8 * i));
  }
}

}  // namespace

AesGcm::AesGcm(const u8* key) : cipher_(key) {
  u8 zeros[stretch_bytes] = {};
  cipher_.encrypt(zeros);
  hash_key_ = {load_be(zeros, 8), load_be(zeros + 8, 8)};
  wipe(zeros, sizeof zeros);
}

AesGcm::~AesGcm() {
  wipe(&hash_key_, sizeof hash_key_);
}

// SP 800-38D 6.3.
AesGcm::Block AesGcm::multiply_by_key(const Block& x) const {
  Block product, v = hash_key_;
  for (unsigned i = 0; i < 128; ++i) {
    const u64 word = i < 64 ? x.high : x.low;
    const u64 take = ~((word >> (63 - i % 64) & 1) - 1);
    product.high ^= v.high & take;
    product.low ^= v.low & take;
    const u64 carry = ~((v.low & 1) - 1);
    v.low = v.low >> 1 | v.high << 63;
    v.high = v.high >> 1 ^ (u64{0xE1} << 56 & carry);
  }
  return product;
}

// The last block is padded with zeros.
void AesGcm::hash(Block& state, ByteView data) const {
  for (usize at = 0; at < data.size(); at += block_bytes) {
    const usize left = data.size() - at;
    state.high ^= load_be(data.data() + at, left);
    state.low ^= left > 8 ? load_be(data.data() + at + 8, left - 8) : 0;
    state = multiply_by_key(state);
  }
}

// Counter 1 makes the tag, the text begins with 2.
void AesGcm::encrypt_counters(const u8* iv, View<u8> data) const {
  u32 counter = 2;
  u8 stream[stretch_bytes];
  for (usize at = 0; at < data.size(); at += stretch_bytes) {
    for (usize block = 0; block < Aes256::blocks_at_once; ++block) {
      counter_block(stream + block * block_bytes, iv, counter++);
    }
    cipher_.encrypt(stream);
    for (usize i = 0; i < stretch_bytes && at + i < data.size(); ++i) {
      data[at + i] ^= stream[i];
    }
  }
  wipe(stream, sizeof stream);
}

void AesGcm::make_tag(const u8* iv, ByteView authenticated, ByteView ciphertext, u8* tag) const {
  Block state;
  hash(state, authenticated);
  hash(state, ciphertext);
  state.high ^= u64{authenticated.size()} * 8;
  state.low ^= u64{ciphertext.size()} * 8;
  state = multiply_by_key(state);
  u8 mask[stretch_bytes] = {};
  counter_block(mask, iv, 1);
  cipher_.encrypt(mask);
  store_be(tag, state.high ^ load_be(mask, 8));
  store_be(tag + 8, state.low ^ load_be(mask + 8, 8));
  wipe(mask, sizeof mask);
}

void AesGcm::seal(const u8* iv, ByteView authenticated, View<u8> data, u8* tag) const {
  encrypt_counters(iv, data);
  make_tag(iv, authenticated, {data.data(), data.size()}, tag);
}

bool AesGcm::open(const u8* iv, ByteView authenticated, View<u8> data, const u8* tag) const {
  u8 right[tag_bytes];
  make_tag(iv, authenticated, {data.data(), data.size()}, right);
  const bool good = equal(right, tag, tag_bytes);
  wipe(right, sizeof right);
  if (good) {
    encrypt_counters(iv, data);
  }
  return good;
}

}  // namespace softsnp::crypto
