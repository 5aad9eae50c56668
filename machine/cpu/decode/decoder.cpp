#include "machine/cpu/decode/decoder.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "machine/cpu/decode/operands.hpp"
#include "machine/cpu/decode/snp_instructions.hpp"
#include "machine/cpu/exec/branch.hpp"

namespace softsnp::cpu {
namespace {

constexpr unsigned longest = 15;

ZydisDecoder make_decoder(ZydisMachineMode mode, ZydisStackWidth stack) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, mode, stack);
  // Near branches honour an operand-size prefix in 64-bit code, as AMD processors do.
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
  // Not on these processors: their encodings (ENDBR64, BNDMOV, ...) are no-operations.
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
  return decoder;
}

bool matches(const Row& row, const Shape& shape) {
  return row.form == forms::any ||
         (row.form == shape.form && (row.bits == 0 || row.bits == shape.bits) &&
          (row.source_bits == 0 || row.source_bits == shape.source_bits));
}

// The fastest handler of row that serves op.
Handler choose(const Row& row, const Shape& shape, bool code64, const Op& op) {
  const bool memory = has_memory(shape.form);
  const bool segment = memory && op.seg >= static_cast<u8>(x86::Segment::fs);
  const bool checked = shape.form == forms::rel && !canonical(op.imm);
  const bool plain = code64 && !checked && (!memory || op.address_bits == 64);
  if (plain && segment && row.segment != nullptr) {
    return row.segment;
  }
  if ((!plain || segment) && row.general != nullptr) {
    return row.general;
  }
  return op.index == gpr_zero && row.base != nullptr ? row.base : row.flat;
}

u8 far_pointer_segment(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_LES:
      return static_cast<u8>(x86::Segment::es);
    case ZYDIS_MNEMONIC_LSS:
      return static_cast<u8>(x86::Segment::ss);
    case ZYDIS_MNEMONIC_LFS:
      return static_cast<u8>(x86::Segment::fs);
    case ZYDIS_MNEMONIC_LGS:
      return static_cast<u8>(x86::Segment::gs);
    default:
      return static_cast<u8>(x86::Segment::ds);
  }
}

// The conventions of system_op.hpp.
void adjust_system(const Row& row, const Shape& shape, Op& op) {
  if (row.system == SystemOp::load_far_pointer) {
    op.r1 = op.r0;
    op.r0 = far_pointer_segment(row.mnemonic);
  } else if (row.system == SystemOp::out && shape.form == forms::r_r) {
    std::swap(op.r0, op.r1);
  }
  op.extra = has_memory(shape.form) ? 1 : 0;
}

// Encodings that Zydis takes for no-operations and AMD processors do not have: PREFETCHW and its
// neighbours with a register (0F 0D).
bool is_undefined(const Instruction& in) {
  return in.zydis.opcode_map == ZYDIS_OPCODE_MAP_0F && in.zydis.opcode == 0x0D &&
         in.zydis.raw.modrm.mod == 3;
}

DecodeStatus undefined(const u8* bytes, u32 length, Handler fn, Op& op, OpInfo& info) {
  op = blank_op(64);
  op.fn = fn;
  info = {};
  info.length = static_cast<u8>(length);
  std::memcpy(info.bytes, bytes, length);
  return DecodeStatus::ends_block;
}

}  // namespace

struct Decoder::Impl {
  // Indexed by code_mode::size_mask and stack32.
  ZydisDecoder modes[3][2];
  std::vector<Row> rows;                    // by mnemonic
  std::vector<std::pair<u32, u32>> ranges;  // per mnemonic: first row, count

  Impl() {
    modes[code_mode::size16][0] = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    modes[code_mode::size16][1] = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_32);
    modes[code_mode::size32][0] = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_16);
    modes[code_mode::size32][1] = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    modes[code_mode::size64][0] = make_decoder(ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    modes[code_mode::size64][1] = modes[code_mode::size64][0];
    for (const auto table :
         {rows_move(), rows_arithmetic(), rows_shift(), rows_bit(), rows_stack(), rows_branch(),
          rows_string(), rows_misc(), rows_system(), rows_sse(), rows_x87()}) {
      rows.insert(rows.end(), table.begin(), table.end());
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Row& a, const Row& b) { return a.mnemonic < b.mnemonic; });
    ranges.resize(ZYDIS_MNEMONIC_MAX_VALUE + 1);
    for (u32 i = 0; i < rows.size(); ++i) {
      auto& [first, count] = ranges[rows[i].mnemonic];
      first = count == 0 ? i : first;
      ++count;
    }
  }

  const Row* find(ZydisMnemonic mnemonic, const Shape& shape) const {
    const auto& [first, count] = ranges[mnemonic];
    for (u32 i = first; i < first + count; ++i) {
      if (matches(rows[i], shape)) {
        return &rows[i];
      }
    }
    return nullptr;
  }
};

Decoder::Decoder() : impl_(std::make_unique<Impl>()) {}
Decoder::~Decoder() = default;

DecodeStatus Decoder::decode(const u8* bytes, u32 size, u64 rip, u32 mode, Op& op,
                             OpInfo& info) const {
  const bool code64 = (mode & code_mode::size_mask) == code_mode::size64;
  if (decode_snp(bytes, size, code64, op, info)) {
    return DecodeStatus::ends_block;
  }
  const ZydisDecoder& decoder =
      impl_->modes[mode & code_mode::size_mask][(mode & code_mode::stack32) != 0 ? 1 : 0];
  Instruction in;
  const ZyanStatus status = ZydisDecoderDecodeFull(&decoder, bytes, size, &in.zydis, in.operands);
  if (status == ZYDIS_STATUS_NO_MORE_DATA && size < longest) {
    return DecodeStatus::truncated;
  }
  if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA) {
    return undefined(bytes, std::min(size, longest), &op_too_long, op, info);
  }
  if (!ZYAN_SUCCESS(status)) {
    return undefined(bytes, 1, &op_undefined, op, info);
  }
  const Shape shape = shape_of(in);
  const Row* row = impl_->find(in.zydis.mnemonic, shape);
  if (row == nullptr || is_undefined(in)) {
    return undefined(bytes, in.zydis.length, &op_undefined, op, info);
  }
  fill_operands(in, rip, code64, op);
  fill_info(in, bytes, info);
  op.fn = choose(*row, shape, code64, op);
  if (row->system != SystemOp::none) {
    // Zydis 4.0 has no name for WBNOINVD (F3 0F 09).
    const bool wbnoinvd = row->system == SystemOp::wbinvd && (info.prefixes & prefix::rep) != 0;
    info.system_id = static_cast<u16>(wbnoinvd ? SystemOp::wbnoinvd : row->system);
    adjust_system(*row, shape, op);
  }
  return row->ends_block ? DecodeStatus::ends_block : DecodeStatus::ok;
}

}  // namespace softsnp::cpu
