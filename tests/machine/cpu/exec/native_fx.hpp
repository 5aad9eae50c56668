// The host processor as referee for SSE, MMX and x87: one instruction runs natively and in the
// executor on the same state, with the same data at the same addresses.
#pragma once

#include <csignal>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "machine/cpu/decode/decoder.hpp"
#include "machine/cpu/exec/core.hpp"

namespace softsnp::cpu::fx_test {

struct Result {
  u64 gpr[16] = {};
  u64 rflags = 0;
  FxState fx;
  int vector = -1;  // exception, or -1
};

// Runs single instructions on the host.
class Native {
 public:
  // Two pages of data, the byte after them is not mapped.
  static constexpr u32 data_bytes = 2 * page_size;
  Native();
  ~Native();
  Native(const Native&) = delete;
  Native& operator=(const Native&) = delete;

  u64 code() const { return code_; }  // where the instruction lies
  u8* data() const { return data_; }
  Result run(const Result& before, const u8* bytes, u32 size);

 private:
  u8* page_ = nullptr;
  u8* data_ = nullptr;
  u64 code_ = 0;
  struct sigaction previous_[4];  // of the signals that exceptions become
};

// Runs single instructions in the executor, on the same data.
class Emulated : public MemoryPort {
 public:
  Emulated(u64 code, u8* data);
  // False: the decoder has no handler for it (#UD at decode).
  bool decode(const u8* bytes, u32 size, u32 mode = code_mode::size64 | code_mode::user);
  Result run(const Result& before);
  Core& core() { return *core_; }
  u8* translate(Core& core, u64 linear, u32 size, Access access) override;

 private:
  std::unique_ptr<Core> core_;
  Decoder decoder_;
  u8* data_;
  Block block_;
  Op ops_[2];
  OpInfo infos_[2];
};

// Values that floating-point units find hard.
class Values {
 public:
  explicit Values(u64 seed) : random_(seed) {}
  u64 bits() { return random_(); }
  u32 below(u32 limit) { return static_cast<u32>(random_() % limit); }
  bool one_in(u32 n) { return below(n) == 0; }
  u32 single();
  u64 real();
  void extended(u8* to);
  Xmm vector();
  u32 mxcsr(bool unmasked);
  // A state that may be loaded: all registers random.
  Result state(bool unmasked);

 private:
  std::mt19937_64 random_;
};

// Empty, or what differs. Memory is compared by the caller.
std::string difference(const Result& native, const Result& emulated);

struct Tally {
  std::set<std::string> forms;
  u64 states = 0, faults = 0, failures = 0;
  void print(const char* what) const;
};

// One instruction on many states.
struct Trial {
  std::vector<u8> bytes;
  bool has_immediate = false;  // the last byte
  u32 memory_bytes = 0;        // 0: no memory operand; it is at [RBX]
  u32 alignment = 1;
  bool may_be_undefined = false;  // no handler: the host must raise #UD
  std::string name;
};
class Bench {
 public:
  explicit Bench(u64 seed) : values_(seed), emulated_(native_.code(), native_.data()) {}
  void run(const Trial& trial, u32 states, bool unmasked, Tally& tally);
  // Runs bytes on a given state; reports a difference as a test failure. False: they differ.
  bool compare(const std::string& name, const u8* bytes, u32 size, const Result& before,
               Tally& tally);
  Values& values() { return values_; }
  Native& native() { return native_; }
  Emulated& emulated() { return emulated_; }

 private:
  void randomise_data();
  std::string memory_difference(const Result& before) const;
  Values values_;
  Native native_;
  Emulated emulated_;
  std::vector<u8> initial_ = std::vector<u8>(Native::data_bytes), after_ = initial_;
};

}  // namespace softsnp::cpu::fx_test
