// A core on a bench: real DRAM, RMP and MMU, a fake package; instructions put together by hand.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "machine/cpu/svm/svm.hpp"
#include "machine/cpu/system/cpuid_table.hpp"
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu::test {

class FakePlatform final : public Platform {
 public:
  u64 tsc() override { return now; }
  u64 tsc_frequency_hz() const override { return 1'000'000'000; }
  CpuidRegisters cpuid(u32 leaf, u32 subleaf) const override {
    return table.query(leaf, subleaf, id);
  }
  u64 random64() override { return 0x1122334455667788; }
  unsigned core_id() const override { return id; }
  SharedMsrs& shared_msrs() override { return shared; }
  void caches_written_back() override { ++write_backs; }

  unsigned id = 0;
  CpuidTable table{psp::Product::genoa, 4};
  SharedMsrs shared;
  u64 now = 1000;
  unsigned write_backs = 0;
};

class Recorder final : public Observer {
 public:
  void delivered(const Delivery& d) override { deliveries.push_back(d); }
  void vc_raised(u64 code, u64) override { vcs.push_back(code); }
  void vmrun_refused(const LastRefusal& r) override { refusals.push_back(r.rule); }
  void triple_fault(const FaultChain& c) override { chain = c; }
  void rmp_instruction(const RmpInstructionEvent& e) override { rmp_events.push_back(e); }

  std::vector<Delivery> deliveries;
  std::vector<u64> vcs;
  std::vector<const char*> refusals;
  std::vector<RmpInstructionEvent> rmp_events;
  FaultChain chain;
};

// Where the bench keeps its tables.
inline constexpr u64 pml4_at = 0x1000, gdt_at = 0x5000, idt_at = 0x6000, tss_at = 0x8000,
                     stack_at = 0xA000, user_stack_at = 0xC000, data_at = 0x10000, rip_at = 0x20000,
                     handler_at = 0x30000, ist_at = 0xE000;
inline constexpr u16 code64_sel = 0x08, data_sel = 0x10, user_data_sel = 0x18 | 3,
                     user_code64_sel = 0x20 | 3, code32_sel = 0x28, user_code32_sel = 0x30 | 3,
                     tss_sel = 0x38, ldt_sel = 0x48, absent_sel = 0x58, conforming_sel = 0x60;
inline constexpr u64 dram_bytes = 32u << 20;

struct Bench {
  Bench()
      : rmp(dram, nullptr),
        core(std::make_unique<Core>()),
        code(dram),
        mmu_owner(std::make_unique<Mmu>(dram, rmp, code)),
        mmu(*mmu_owner),
        system(*core, mmu, platform, &recorder) {
    core->memory = &mmu;
    build_tables();
    state().rip = rip_at;
    gpr(x86::Gpr::rsp) = stack_at;
    system.mode_changed();
  }

  CoreState& state() { return core->state; }
  u64& gpr(x86::Gpr r) { return state().gpr[static_cast<unsigned>(r)]; }
  template <class T>
  T peek(u64 at) {
    T value;
    dram.read(SystemPhysical(at), memory::KeyId::none,
              {reinterpret_cast<u8*>(&value), sizeof value});
    return value;
  }
  template <class T>
  void poke(u64 at, T value) {
    dram.write(SystemPhysical(at), memory::KeyId::none,
               {reinterpret_cast<const u8*>(&value), sizeof value});
  }

  // Identity map of all DRAM, user, writable, 2 MiB pages; GDT, IDT, TSS.
  void build_tables() {
    poke<u64>(pml4_at, 0x2007);
    poke<u64>(0x2000, 0x3007);
    for (u64 i = 0; i < 512; ++i) {
      poke<u64>(0x3000 + 8 * i, (i << 21) | 0x87);
    }
    const u64 gdt[] = {0,
                       0x00AF9A000000FFFF,  // 08 code64
                       0x00CF92000000FFFF,  // 10 data
                       0x00CFF2000000FFFF,  // 18 user data
                       0x00AFFA000000FFFF,  // 20 user code64
                       0x00CF9A000000FFFF,  // 28 code32
                       0x00CFFA000000FFFF,  // 30 user code32
                       0x0000890080000067,  // 38 TSS, base 8000
                       0,
                       0x000082000000000F | (data_at << 16),  // 48 LDT
                       0,
                       0x00AF1A000000FFFF,   // 58 code64, not present
                       0x00AF9E000000FFFF};  // 60 conforming code64
    for (u64 i = 0; i < std::size(gdt); ++i) {
      poke<u64>(gdt_at + 8 * i, gdt[i]);
    }
    poke<u64>(tss_at + 4, stack_at);   // RSP0
    poke<u64>(tss_at + 0x24, ist_at);  // IST1
    poke<u16>(tss_at + 0x66, 0x68);    // I/O map beyond the limit
    CoreState& s = state();
    s.cr3 = pml4_at;
    s.gdtr = {0, 0, 0x67, gdt_at};
    s.idtr = {0, 0, 0xFFF, idt_at};
    s.tr = {tss_sel, 0x8B, 0x67, tss_at};
    s.seg[1] = {code64_sel, 0xA9B, 0xFFFFFFFF, 0};
    s.seg[2] = {data_sel, 0xC93, 0xFFFFFFFF, 0};
    for (u8 v = 0; v < 64; ++v) {
      gate(v, code64_sel, handler_at + v * 16u, 0x8E);
    }
  }
  // 64-bit gate. type: byte 5 of the descriptor.
  void gate(u8 vector, u16 sel, u64 offset, u8 type, u8 ist = 0) {
    const u64 low = (offset & 0xFFFF) | (u64{sel} << 16) | (u64{ist} << 32) | (u64{type} << 40) |
                    (get_bits(offset, 31, 16) << 48);
    poke<u64>(idt_at + 16u * vector, low);
    poke<u64>(idt_at + 16u * vector + 8, offset >> 32);
  }
  // 32-bit gate of a legacy IDT.
  void legacy_gate(u8 vector, u16 sel, u32 offset, u8 type) {
    poke<u64>(idt_at + 8u * vector, (offset & 0xFFFF) | (u64{sel} << 16) | (u64{type} << 40) |
                                        (get_bits(offset, 31, 16) << 48));
  }
  void become_user() {
    CoreState& s = state();
    s.cpl = 3;
    s.seg[1] = {user_code64_sel, 0xAFB, 0xFFFFFFFF, 0};
    s.seg[2] = {user_data_sel, 0xCF3, 0xFFFFFFFF, 0};
    gpr(x86::Gpr::rsp) = user_stack_at;
    system.mode_changed();
  }
  void become_compat(bool user) {
    CoreState& s = state();
    s.seg[1] = {user ? user_code32_sel : code32_sel, static_cast<u16>(user ? 0xCFB : 0xC9B),
                0xFFFFFFFF, 0};
    s.cpl = user ? 3 : 0;
    s.seg[2] = {user ? user_data_sel : data_sel, static_cast<u16>(user ? 0xCF3 : 0xC93), 0xFFFFFFFF,
                0};
    system.mode_changed();
  }
  // 32-bit protected mode, paging off.
  void become_protected() {
    CoreState& s = state();
    s.cr0 = x86::cr0::pe | x86::cr0::et;
    s.cr4 = 0;
    s.efer = 0;
    for (auto& seg : s.seg) {
      seg = {data_sel, 0xC93, 0xFFFFFFFF, 0};
    }
    s.seg[1] = {code32_sel, 0xC9B, 0xFFFFFFFF, 0};
    s.idtr.limit = 0x7FF;
    system.mode_changed();
  }
  void become_real() {
    CoreState& s = state();
    s.cr0 = x86::cr0::et;
    s.cr4 = 0;
    s.efer = 0;
    for (auto& seg : s.seg) {
      seg = {0, 0x93, 0xFFFF, 0};
    }
    s.seg[1] = {0, 0x9B, 0xFFFF, 0};
    s.idtr = {0, 0, 0x3FF, 0};
    s.rip = 0x7000;
    gpr(x86::Gpr::rsp) = 0x9000;
    system.mode_changed();
  }

  struct Form {
    u8 r0 = gpr_zero, r1 = gpr_zero;
    u64 imm = 0;
    bool memory = false;
    u64 address = 0;
    u8 bits = 64;
    u8 length = 3;
    u8 prefixes = 0;
    u8 seg = 3;
    u8 address_bits = 64;
    i64 disp = 0;
  };
  Outcome run(SystemOp id, Form form) {
    Op op{};
    op.r0 = form.r0;
    op.r1 = form.r1;
    op.imm = form.imm;
    op.base = op.index = gpr_zero;
    op.seg = form.seg;
    op.address_bits = form.address_bits;
    op.extra = form.memory ? 1 : 0;
    op.disp = form.memory ? static_cast<i64>(form.address) : form.disp;
    OpInfo info{};
    info.system_id = static_cast<u16>(id);
    info.length = form.length;
    info.operand_bits = form.bits;
    info.prefixes = form.prefixes;
    recorder.deliveries.clear();
    recorder.vcs.clear();
    return system.execute(op, info);
  }
  Outcome run(SystemOp id) { return run(id, Form{}); }

  // Vector delivered by the last run, -1 if none.
  int vector() const {
    return recorder.deliveries.empty() ? -1 : recorder.deliveries.back().vector;
  }
  u32 error() const { return recorder.deliveries.back().error; }

  memory::Dram dram{dram_bytes};
  memory::Rmp rmp;
  FakePlatform platform;
  Recorder recorder;
  std::unique_ptr<Core> core;
  CodeStore code;
  std::unique_ptr<Mmu> mmu_owner;
  Mmu& mmu;
  System system;
};

inline constexpr int no_vector = -1;
inline constexpr int gp = 13, ud = 6, np_vector = 11, ss_vector = 12, ts_vector = 10, pf = 14,
                     vc = 29, db = 1;

}  // namespace softsnp::cpu::test
