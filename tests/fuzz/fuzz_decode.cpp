// Any bytes in any code mode: the decoder keeps its promises, and a block of what it made of them
// runs against a flat memory without leaving it. Input: mode, options, registers, then code.
#include <memory>

#include "arch/x86/registers.hpp"
#include "machine/cpu/decode/decoder.hpp"
#include "machine/cpu/exec/core.hpp"
#include "machine/cpu/exec/engine.hpp"
#include "tests/fuzz/fuzz_bytes.hpp"

namespace {

using namespace softsnp;
using namespace softsnp::cpu;

constexpr u32 max_instruction_bytes = 15;
constexpr u32 max_ops = 32;
constexpr u64 code_rip = 0x1000;

void require(bool condition) {
  if (!condition) {
    __builtin_trap();
  }
}

// 64 KiB that repeat throughout the address space; one page in eight is missing, one read-only.
class Memory final : public MemoryPort {
 public:
  u8* translate(Core& core, u64 linear, u32 size, Access access) override {
    require(size >= 1 && linear % page_size + size <= page_size);
    const bool canonical = static_cast<u64>(static_cast<i64>(linear << 16) >> 16) == linear;
    if (!canonical) {
      core.fault = {FaultKind::exception, static_cast<u8>(x86::Vector::gp), true, 0, 0, 0};
      return nullptr;
    }
    const u64 kind = (linear >> page_shift) & 7;
    const bool write = access == Access::write;
    if (kind == 7 || (kind == 6 && write)) {
      const u64 error = (write ? x86::pf_error::write : 0) | (kind == 6 ? 1 : 0);
      core.fault = {
          FaultKind::exception, static_cast<u8>(x86::Vector::pf), true, error, linear, linear};
      return nullptr;
    }
    u8* at = bytes_ + linear % sizeof bytes_;
    if ((kind & 1) == 0) {
      TlbEntry& entry = core.tlb[tlb_index(linear)];
      entry.read_tag = linear & ~page_offset_mask;
      entry.write_tag = kind == 6 ? ~u64{0} : entry.read_tag;
      entry.addend = reinterpret_cast<u64>(at) - linear;
    }
    return at;
  }

 private:
  alignas(page_size) u8 bytes_[65536] = {};
};

u32 mode_of(u8 choice) {
  constexpr u32 sizes[] = {code_mode::size64, code_mode::size64, code_mode::size32,
                           code_mode::size16};
  return sizes[choice & 3] | ((choice & 4) != 0 ? code_mode::user : 0) |
         ((choice & 8) != 0 ? code_mode::stack32 : 0);
}

struct Program {
  Op ops[max_ops + 1];
  OpInfo info[max_ops + 1];
  Block block;

  // As the block builder does it: a straight run, closed by a fall-through if it does not end.
  bool decode(const Decoder& decoder, std::span<const u8> code, u32 mode);
};

void check(const DecodeStatus status, const Op& op, const OpInfo& info, u32 given) {
  require(op.fn != nullptr);
  require(info.length >= 1 && info.length <= max_instruction_bytes);
  require(info.length <= given);
  require(op.base <= gpr_zero && op.index <= gpr_zero && op.scale <= 3);
  require(op.seg < x86::segment_count);
  require(status == DecodeStatus::ok || status == DecodeStatus::ends_block);
}

bool Program::decode(const Decoder& decoder, std::span<const u8> code, u32 mode) {
  u32 count = 0, at = 0;
  DecodeStatus status = DecodeStatus::ok;
  while (count < max_ops && status == DecodeStatus::ok && at < code.size()) {
    const u32 given = static_cast<u32>(std::min<usize>(code.size() - at, max_instruction_bytes));
    Op op{};
    OpInfo facts{};
    status = decoder.decode(code.data() + at, given, code_rip + at, mode, op, facts);
    if (status == DecodeStatus::truncated) {
      require(given < max_instruction_bytes);
      break;
    }
    check(status, op, facts, given);
    facts.rip_offset = static_cast<u16>(at);
    facts.retired_before = static_cast<u16>(count);
    ops[count] = op;
    info[count] = facts;
    at += facts.length;
    ++count;
  }
  const u32 instructions = count;
  if (status != DecodeStatus::ends_block) {
    ops[count] = {};
    ops[count].fn = &op_fall_through;
    info[count] = {};
    info[count].rip_offset = static_cast<u16>(at);
    info[count].retired_before = static_cast<u16>(count);
    ++count;
  }
  block.rip = code_rip;
  block.end_rip = code_rip + at;
  block.mode = mode;
  block.instruction_count = instructions;
  block.op_count = count;
  block.byte_count = at;
  block.ops = ops;
  block.info = info;
  return instructions != 0;
}

void set_segments(Core& core, u32 mode) {
  namespace attribute = svm::attribute;
  constexpr u16 present = attribute::code_or_data | attribute::present;
  for (auto& segment : core.state.seg) {
    segment = {0x18, present | 3 | attribute::default_big, 0xFFFFFFFF, 0};
  }
  const bool long_code = (mode & code_mode::size_mask) == code_mode::size64;
  core.state.seg[1] = {0x10,
                       static_cast<u16>(present | 0xB | (long_code ? attribute::long_mode : 0)),
                       0xFFFFFFFF, 0};
  core.state.seg[static_cast<unsigned>(x86::Segment::gs)].base = 0x3000;
  core.seg_base[static_cast<unsigned>(x86::Segment::gs)] = 0x3000;
}

void prepare(Core& core, MemoryPort& memory, u32 mode, fuzz::Bytes& input) {
  core.tlb = core.tlbs[0];
  core.memory = &memory;
  core.set_code_mode(mode);
  const u8 options = input.take<u8>();
  CoreState& state = core.state;
  state.cpl = (mode & code_mode::user) != 0 ? 3 : 0;
  state.cr0 = x86::cr0::pe | x86::cr0::pg | x86::cr0::et | x86::cr0::mp | x86::cr0::ne;
  state.cr4 = x86::cr4::pae | x86::cr4::osxmmexcpt | ((options & 1) != 0 ? 0 : x86::cr4::osfxsr);
  state.cr0 |= (options & 2) != 0 ? u64{1} << 3 : 0;  // TS
  state.cr0 |= (options & 4) != 0 ? u64{1} << 2 : 0;  // EM
  if ((mode & code_mode::size_mask) == code_mode::size64) {
    state.efer = x86::efer::lma | x86::efer::lme;
  }
  set_segments(core, mode);
  state.set_rflags((input.take<u16>() & 0xCD5) | 2);
  for (unsigned i = 0; i < 16; ++i) {
    state.gpr[i] = (options & 8) != 0 ? input.take<u64>() : input.take<u8>() * u64{0x101};
  }
  // Unmasked exceptions and rounding modes; reserved bits cannot be loaded into a real MXCSR.
  if ((options & 16) != 0) {
    state.fx.mxcsr = input.take<u16>();
    state.fx.fcw = static_cast<u16>((input.take<u16>() & 0x0F3F) | 0x40);
  }
}

void run(std::span<const u8> data) {
  fuzz::Bytes input(data);
  const u32 mode = mode_of(input.take<u8>());
  const auto core = std::make_unique<Core>();
  const auto memory = std::make_unique<Memory>();
  prepare(*core, *memory, mode, input);
  const auto program = std::make_unique<Program>();
  static const Decoder decoder;
  if (!program->decode(decoder, input.take_bytes(max_ops * max_instruction_bytes), mode)) {
    return;
  }
  core->state.rip = code_rip;
  core->budget = core->budget_start = 10'000;
  run(*core, &program->block);
  require(core->stop != Stop::none);
  require(core->state.gpr[gpr_zero] == 0);
  require(core->budget >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const softsnp::u8* data, softsnp::usize size) {
  if (size >= 4) {
    run({data, size});
  }
  return 0;
}
