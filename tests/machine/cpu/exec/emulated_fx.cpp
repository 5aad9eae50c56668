#include <gtest/gtest.h>

#include <cstdio>

#include "machine/cpu/exec/memory.hpp"
#include "machine/cpu/exec/xsave.hpp"
#include "tests/machine/cpu/exec/native_fx.hpp"

namespace softsnp::cpu::fx_test {
namespace {

const Op* stop_here(Core& core, const Op*) {
  core.stop = Stop::none;
  return nullptr;
}

}  // namespace

Emulated::Emulated(u64 code, u8* data) : core_(std::make_unique<Core>()), data_(data) {
  core_->memory = this;
  core_->tlb = core_->tlbs[0];
  core_->state.cr0 = x86::cr0::pe | x86::cr0::et | x86::cr0::ne | x86::cr0::mp | x86::cr0::pg;
  core_->state.cr4 = x86::cr4::osfxsr | x86::cr4::osxmmexcpt | x86::cr4::osxsave | x86::cr4::pae;
  core_->state.xcr0 = 3;
  core_->state.efer = x86::efer::lme | x86::efer::lma;
  core_->state.cpl = 3;
  core_->state.seg[1].selector = 0x33;
  core_->set_code_mode(code_mode::size64 | code_mode::user);
  // The first data page goes through the TLB, the second by the port.
  const auto page = reinterpret_cast<u64>(data);
  core_->tlb[tlb_index(page)] = TlbEntry{page, page, 0, 0};
  block_.rip = code;
  block_.instruction_count = 1;
  block_.op_count = 2;
  block_.ops = ops_;
  block_.info = infos_;
}

bool Emulated::decode(const u8* bytes, u32 size, u32 mode) {
  std::memset(&infos_, 0, sizeof infos_);
  std::memset(&ops_, 0, sizeof ops_);
  u8 padded[16];
  std::memset(padded, 0x90, sizeof padded);
  std::memcpy(padded, bytes, size);
  if (decoder_.decode(padded, 15, block_.rip, mode, ops_[0], infos_[0]) ==
      DecodeStatus::truncated) {
    return false;
  }
  ops_[1].fn = &stop_here;
  return ops_[0].fn != &op_undefined;
}

Result Emulated::run(const Result& before) {
  Core& core = *core_;
  std::memcpy(core.state.gpr, before.gpr, sizeof before.gpr);
  core.state.set_rflags(before.rflags);
  core.state.fx = before.fx;
  core.budget = core.budget_start = 100;
  core.fault = {};
  cpu::run(core, &block_);
  Result after;
  std::memcpy(after.gpr, core.state.gpr, sizeof after.gpr);
  after.rflags = core.state.rflags();
  after.fx = core.state.fx;
  xsave::write_x87(core.state.fx, true, reinterpret_cast<u8*>(&after.fx));
  after.vector = core.stop == Stop::fault ? core.fault.vector : -1;
  return after;
}

u8* Emulated::translate(Core& core, u64 linear, u32 size, Access access) {
  const auto start = reinterpret_cast<u64>(data_);
  if (linear >= start && linear + size <= start + Native::data_bytes) {
    return reinterpret_cast<u8*>(linear);
  }
  core.fault = {FaultKind::exception, static_cast<u8>(x86::Vector::pf), true,
                access == Access::write ? 6u : 4u, linear};
  return nullptr;
}

std::string difference(const Result& native, const Result& emulated) {
  char text[200];
  if (native.vector != emulated.vector) {
    std::snprintf(text, sizeof text, "vector %d, emulated %d (mxcsr %x, %x)", native.vector,
                  emulated.vector, native.fx.mxcsr, emulated.fx.mxcsr);
    return text;
  }
  for (unsigned i = 0; i < 16; ++i) {
    if (i != 4 && native.gpr[i] != emulated.gpr[i]) {
      std::snprintf(text, sizeof text, "gpr%u %lx, emulated %lx", i, native.gpr[i],
                    emulated.gpr[i]);
      return text;
    }
  }
  constexpr u64 status = x86::rflags::status;
  if ((native.rflags & status) != (emulated.rflags & status)) {
    std::snprintf(text, sizeof text, "rflags %lx, emulated %lx", native.rflags & status,
                  emulated.rflags & status);
    return text;
  }
  const auto* a = reinterpret_cast<const u8*>(&native.fx);
  const auto* b = reinterpret_cast<const u8*>(&emulated.fx);
  for (unsigned i = 0; i < 416; i += 4) {
    if (load_le<u32>(a + i) != load_le<u32>(b + i)) {
      std::snprintf(text, sizeof text, "fx+%u %08x, emulated %08x", i, load_le<u32>(a + i),
                    load_le<u32>(b + i));
      return text;
    }
  }
  return {};
}

void Tally::print(const char* what) const {
  std::printf("[ %s ] %zu forms, %lu states, of them %lu with exceptions; %lu differ\n", what,
              forms.size(), states, faults, failures);
}

void Bench::randomise_data() {
  for (u32 i = 0; i < Native::data_bytes; i += 8) {
    store_le<u64>(&initial_[i], values_.bits());
  }
}

std::string Bench::memory_difference(const Result& before) const {
  const u8* data = native_.data();
  u32 at = 0;
  while (at < Native::data_bytes && after_[at] == data[at]) {
    ++at;
  }
  if (at == Native::data_bytes) {
    return {};
  }
  char text[100];
  std::snprintf(text, sizeof text, "memory+%u (operand+%ld) %02x, emulated %02x", at,
                static_cast<long>(reinterpret_cast<u64>(data) + at - before.gpr[3]), data[at],
                after_[at]);
  return text;
}

bool Bench::compare(const std::string& name, const u8* bytes, u32 size, const Result& before,
                    Tally& tally) {
  std::memcpy(initial_.data(), native_.data(), Native::data_bytes);
  const Result emulated = emulated_.run(before);
  std::memcpy(after_.data(), native_.data(), Native::data_bytes);
  // A context switch of the host between loading the state and the instruction loses the x87
  // pointers of the native run (an XSAVE without a pending exception stores zeros), so that a
  // difference counts only if it shows each time.
  std::string what;
  Result native;
  for (int attempt = 0; attempt < 3; ++attempt) {
    std::memcpy(native_.data(), initial_.data(), Native::data_bytes);
    native = native_.run(before, bytes, size);
    what = difference(native, emulated);
    if (what.empty()) {
      what = memory_difference(before);
    }
    if (what.empty()) {
      break;
    }
  }
  ++tally.states;
  tally.faults += native.vector >= 0 ? 1 : 0;
  if (what.empty()) {
    return true;
  }
  ++tally.failures;
  std::string hex;
  for (u32 i = 0; i < size; ++i) {
    char text[4];
    std::snprintf(text, sizeof text, "%02x ", bytes[i]);
    hex += text;
  }
  ADD_FAILURE() << name << " (" << hex << "): " << what << "; before: mxcsr " << std::hex
                << before.fx.mxcsr << " fcw " << before.fx.fcw << " fsw " << before.fx.fsw
                << " ftw " << unsigned{before.fx.ftw};
  return false;
}

void Bench::run(const Trial& trial, u32 states, bool unmasked, Tally& tally) {
  tally.forms.insert(trial.name);
  std::vector<u8> bytes = trial.bytes;
  u32 failures = 0;
  const bool known = emulated_.decode(bytes.data(), static_cast<u32>(bytes.size()));
  if (!known && !trial.may_be_undefined) {
    ++tally.failures;
    ADD_FAILURE() << trial.name << ": no handler";
    return;
  }
  for (u32 i = 0; i < states && failures < 3; ++i) {
    if (i % 64 == 0) {
      randomise_data();
      std::memcpy(native_.data(), initial_.data(), Native::data_bytes);
    }
    if (trial.has_immediate && i % 4 == 0) {
      bytes.back() = static_cast<u8>(values_.bits());
      emulated_.decode(bytes.data(), static_cast<u32>(bytes.size()));
    }
    Result before = values_.state(unmasked && i % 2 == 1);
    const auto data = reinterpret_cast<u64>(native_.data());
    u32 offset = values_.below(120) * 32;
    if (trial.memory_bytes != 0 && values_.one_in(16)) {
      offset = static_cast<u32>(page_size) * (1 + values_.below(2)) - values_.below(64);
    } else if (trial.alignment == 1 || values_.one_in(16)) {
      offset += values_.below(32);
    }
    u8* operand = native_.data() + offset;
    if (trial.memory_bytes != 0 && offset + 16 <= Native::data_bytes) {
      const Xmm value = values_.vector();
      std::memcpy(operand, &value, 16);
      if (trial.memory_bytes == 10) {
        values_.extended(operand);
      }
    }
    before.gpr[3] = data + offset;
    before.gpr[7] = data + values_.below(4096);
    failures +=
        compare(trial.name, bytes.data(), static_cast<u32>(bytes.size()), before, tally) ? 0 : 1;
  }
}

}  // namespace softsnp::cpu::fx_test
