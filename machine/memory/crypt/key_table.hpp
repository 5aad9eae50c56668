// Memory encryption keys by key id, and the AES engine of the memory controller.
// Hardware sheet 2.1, 2.3 (APM2 15.34.2): AES-128 XEX, tweak a function of the sPA alone:
// C = AES(P ^ T(sPA)) ^ T(sPA) for each 16-byte block.
#pragma once

#include <memory>

#include "arch/address.hpp"

namespace softsnp::memory {

// Key index on the fabric: 0 = plaintext, 1..1006 = guest ASIDs, 1023 = host (SME).
enum class KeyId : u16 { none = 0, host = 1023 };
constexpr KeyId key_of(Asid asid) {
  return static_cast<KeyId>(number(asid));
}
inline constexpr unsigned key_count = 1024;
// Ids from here on name keys that were replaced while frames still held plaintext under them. They
// exist inside the emulator only: such a frame's ciphertext is what hardware would still have.
inline constexpr unsigned first_retired_key = key_count;
inline constexpr unsigned key_id_limit = 0x10000;

struct MemoryKey {
  u8 bytes[16];
};

// Told before a key is replaced.
class KeyChangeListener {
 public:
  // Frames that hold plaintext under id are from now on plaintext under `retired`, which has the
  // old key. False if there are none, and then `retired` is not used up.
  virtual bool key_will_change(KeyId id, KeyId retired) = 0;
  // No retired id is left: frames under id must become raw, while the old key still works.
  virtual void key_must_go(KeyId id) = 0;

 protected:
  ~KeyChangeListener() = default;
};

class KeyTable {
 public:
  KeyTable();
  KeyTable(const KeyTable&) = delete;
  KeyTable& operator=(const KeyTable&) = delete;
  ~KeyTable();

  // Tweak constants of this machine; part of the run's seed (hardware sheet 2.3: fresh,
  // high-entropy constants a boot). Set once before the first use. The constant of address bit n is
  // the first 16 bytes of SHA-256("softsnp tweak" padded with zeros to 16, seed, n; 8 bytes each).
  void set_tweak_seed(u64 seed);
  void install(KeyId id, const MemoryKey& key);
  void erase(KeyId id);  // an unset key encrypts with the all-zero key
  // May be null.
  void set_listener(KeyChangeListener* listener) { listener_ = listener; }

  // In place, one 4 KiB frame at sPA page, each 16-byte block on its own. id must not be none.
  void encrypt_frame(KeyId id, SystemPhysical page, u8* frame);
  void decrypt_frame(KeyId id, SystemPhysical page, u8* frame);
  // Same for `count` blocks from the 16-byte aligned sPA at on, inside one frame.
  void encrypt_blocks(KeyId id, SystemPhysical at, u8* blocks, u64 count);
  void decrypt_blocks(KeyId id, SystemPhysical at, u8* blocks, u64 count);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  KeyChangeListener* listener_ = nullptr;
};

}  // namespace softsnp::memory
