#include "machine/memory/crypt/key_table.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <vector>

#include "machine/memory/crypt/tweak.hpp"
#include "machine/memory/dram/invariant.hpp"

namespace softsnp::memory {
namespace {

enum class Direction : int { decrypt = 0, encrypt = 1 };

void check(int ok, KeyId id) {
  if (ok != 1) {
    broken_invariant("OpenSSL AES-128-ECB failed for key", static_cast<u64>(id));
  }
}

// One direction of one key; made at first use, kept for all later frames.
class AesContext {
 public:
  void run(KeyId id, const MemoryKey& key, Direction direction, u8* data, u64 bytes) {
    if (context_ == nullptr) {
      context_.reset(EVP_CIPHER_CTX_new());
      check(EVP_CipherInit_ex(context_.get(), EVP_aes_128_ecb(), nullptr, key.bytes, nullptr,
                              static_cast<int>(direction)),
            id);
      check(EVP_CIPHER_CTX_set_padding(context_.get(), 0), id);
    }
    int written = 0;
    check(EVP_CipherUpdate(context_.get(), data, &written, data, static_cast<int>(bytes)), id);
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
};

struct KeySlot {
  MemoryKey key{};
  AesContext encrypt;
  AesContext decrypt;
};

// Constants of one machine from its seed.
Tweak tweak_from(u64 seed) {
  std::array<Block, Tweak::bit_count> constants;
  for (u64 i = 0; i < constants.size(); ++i) {
    struct {
      char label[16] = "softsnp tweak";
      u64 seed;
      u64 bit;
    } input{.seed = seed, .bit = i + Tweak::lowest_bit};
    u8 digest[EVP_MAX_MD_SIZE];
    if (EVP_Digest(&input, sizeof input, digest, nullptr, EVP_sha256(), nullptr) != 1) {
      broken_invariant("OpenSSL SHA-256 failed for tweak constant", i);
    }
    constants[i] = load_le<Block>(digest);
  }
  return Tweak(constants);
}

}  // namespace

struct KeyTable::Impl {
  Tweak tweak = tweak_from(0);
  std::vector<std::unique_ptr<KeySlot>> slots{key_count};

  KeySlot& slot(KeyId id) {
    const auto index = static_cast<unsigned>(id);
    if (id == KeyId::none || index >= slots.size()) [[unlikely]] {
      broken_invariant("no such memory encryption key", index);
    }
    if (slots[index] == nullptr) [[unlikely]] {
      slots[index] = std::make_unique<KeySlot>();
    }
    return *slots[index];
  }
};

KeyTable::KeyTable() : impl_(std::make_unique<Impl>()) {}
KeyTable::~KeyTable() = default;

void KeyTable::set_tweak_seed(u64 seed) {
  impl_->tweak = tweak_from(seed);
}

void KeyTable::install(KeyId id, const MemoryKey& key) {
  KeySlot& slot = impl_->slot(id);
  if (std::memcmp(&slot.key, &key, sizeof key) == 0) {
    return;
  }
  if (listener_ == nullptr) {
    slot = KeySlot{key, {}, {}};
    return;
  }
  const usize next = impl_->slots.size();
  if (next == key_id_limit) {
    listener_->key_must_go(id);
  } else if (listener_->key_will_change(id, static_cast<KeyId>(next))) {
    impl_->slots.push_back(std::move(impl_->slots[static_cast<usize>(id)]));
    impl_->slots[static_cast<usize>(id)] = std::make_unique<KeySlot>(KeySlot{key, {}, {}});
    return;
  }
  slot = KeySlot{key, {}, {}};
}

void KeyTable::erase(KeyId id) {
  install(id, MemoryKey{});
}

void KeyTable::encrypt_blocks(KeyId id, SystemPhysical at, u8* blocks, u64 count) {
  KeySlot& slot = impl_->slot(id);
  impl_->tweak.apply(at, blocks, count);
  slot.encrypt.run(id, slot.key, Direction::encrypt, blocks, count * sizeof(Block));
  impl_->tweak.apply(at, blocks, count);
}

void KeyTable::decrypt_blocks(KeyId id, SystemPhysical at, u8* blocks, u64 count) {
  KeySlot& slot = impl_->slot(id);
  impl_->tweak.apply(at, blocks, count);
  slot.decrypt.run(id, slot.key, Direction::decrypt, blocks, count * sizeof(Block));
  impl_->tweak.apply(at, blocks, count);
}

void KeyTable::encrypt_frame(KeyId id, SystemPhysical page, u8* frame) {
  encrypt_blocks(id, page.page(), frame, Tweak::blocks_a_page);
}

void KeyTable::decrypt_frame(KeyId id, SystemPhysical page, u8* frame) {
  decrypt_blocks(id, page.page(), frame, Tweak::blocks_a_page);
}

}  // namespace softsnp::memory
