// Two cores of a machine: what one does to memory the other sees, decoded code included.
#include "machine/cpu/processor.hpp"
#include "tests/machine/cpu/svm/guest_bench.hpp"

namespace softsnp::cpu::test {
namespace {

using svm::ExitCode;

constexpr u64 code_page = 0x40000, other_page = 0x50000, shared_data = 0x60000;
constexpr u64 second_tables = 0x100000, second_vmcb = 0x220000, second_hsave = 0x221000;
constexpr std::initializer_list<u8> inc_ebx_hlt = {0xFF, 0xC3, 0xF4};
constexpr u8 modrm_ecx = 0xC1;

struct Cores {
  Cores() {
    platform.id = 1;
    second =
        std::make_unique<Processor>(bench.dram, bench.rmp, bench.code, platform, clock, nullptr);
    auto& v = bench.vmcb;
    v.cr0 = x86::cr0::pg | x86::cr0::pe | x86::cr0::et;
    v.cr4 = x86::cr4::pae;
    v.cr3 = pml4_at;
    v.efer = x86::efer::svme | x86::efer::lme | x86::efer::lma;
    v.cs = {code64_sel, 0xA9B, 0xFFFFFFFF, 0};
    v.ss = {data_sel, 0xC93, 0xFFFFFFFF, 0};
    v.rsp = stack_at;
    prepare(*first, hsave_at);
    prepare(*second, second_hsave);
  }
  void prepare(Processor& core, u64 hsave) {
    System& system = core.system();
    EXPECT_TRUE(system.write_msr(x86::msr::efer, system.state().efer | x86::efer::svme));
    EXPECT_TRUE(system.write_msr(x86::msr::vm_hsave_pa, hsave));
  }
  void put(u64 at, std::initializer_list<u8> code) {
    for (const u8 byte : code) {
      bench.poke<u8>(at++, byte);
    }
  }
  // Runs core from rip to its HLT.
  CoreState& run(Processor& core, u64 rip) {
    const u64 vmcb = &core == first.get() ? vmcb_at : second_vmcb;
    bench.vmcb.rip = rip;
    bench.vmcb.cr3 = &core == first.get() ? pml4_at : second_cr3;
    bench.dram.write(SystemPhysical(vmcb), memory::KeyId::none,
                     {bench.vmcb.raw, sizeof bench.vmcb.raw});
    EXPECT_TRUE(core.vmrun(SystemPhysical(vmcb), 1000).ok());
    EXPECT_EQ(static_cast<ExitCode>(bench.peek<svm::Vmcb>(vmcb).exitcode), ExitCode::hlt);
    return core.core().state;
  }
  u64 ebx(Processor& core) { return core.core().state.gpr[3]; }
  u64 ecx(Processor& core) { return core.core().state.gpr[1]; }
  void store_byte(Processor& core, u64 at, u8 value) {
    put(rip_at, {0x88, 0x16, 0xF4});  // mov [rsi], dl
    core.core().state.gpr[6] = at;
    core.core().state.gpr[2] = value;
    run(core, rip_at);
  }
  // Identity for 2 MiB, but code_page leads to other_page.
  void build_second_tables() {
    bench.poke<u64>(second_tables, (second_tables + 0x1000) | 7);
    bench.poke<u64>(second_tables + 0x1000, (second_tables + 0x2000) | 7);
    bench.poke<u64>(second_tables + 0x2000, (second_tables + 0x3000) | 7);
    for (u64 i = 0; i < 512; ++i) {
      const u64 page = i << page_shift;
      bench.poke<u64>(second_tables + 0x3000 + 8 * i, (page == code_page ? other_page : page) | 7);
    }
    second_cr3 = second_tables;
  }

  GuestBench bench{GuestBench::Kind::plain};
  Clock clock;
  FakePlatform platform;
  u64 second_cr3 = pml4_at;
  std::unique_ptr<Processor> first = std::make_unique<Processor>(bench.dram, bench.rmp, bench.code,
                                                                 bench.platform, clock, nullptr);
  std::unique_ptr<Processor> second;
};

TEST(Cores, CodeIsDecodedOnceForAll) {
  Cores c;
  c.put(code_page, inc_ebx_hlt);
  c.run(*c.first, code_page);
  c.run(*c.second, code_page);
  EXPECT_EQ(c.ebx(*c.first), 1u);
  EXPECT_EQ(c.ebx(*c.second), 1u);
  EXPECT_NE(c.first->core().counters.blocks_built, 0u);
  EXPECT_EQ(c.second->core().counters.blocks_built, 0u);
}

TEST(Cores, CodeThatAnotherCoreWritesIsDecodedAgain) {
  Cores c;
  c.put(code_page, inc_ebx_hlt);
  c.run(*c.first, code_page);
  c.run(*c.second, code_page);
  c.store_byte(*c.second, code_page + 1, modrm_ecx);
  c.first->core().state.gpr[1] = 0;
  c.run(*c.first, code_page);
  EXPECT_EQ(c.ebx(*c.first), 1u);
  EXPECT_EQ(c.ecx(*c.first), 1u);
}

TEST(Cores, DirectWritesEndWhenAnotherCoreDecodesThePage) {
  Cores c;
  c.put(code_page, inc_ebx_hlt);
  c.store_byte(*c.second, code_page + 0x800, 0);  // the second core's TLB lets it write
  c.run(*c.first, code_page);
  c.store_byte(*c.second, code_page + 1, modrm_ecx);
  c.first->core().state.gpr[1] = 0;
  c.run(*c.first, code_page);
  EXPECT_EQ(c.ebx(*c.first), 1u);
  EXPECT_EQ(c.ecx(*c.first), 1u);
}

TEST(Cores, CodeThatTheHostOrADeviceWritesIsDecodedAgainByAll) {
  Cores c;
  c.put(code_page, inc_ebx_hlt);
  c.run(*c.first, code_page);
  c.run(*c.second, code_page);
  c.put(code_page + 1, {modrm_ecx});
  for (Processor* core : {c.first.get(), c.second.get()}) {
    core->core().state.gpr[1] = 0;
    c.run(*core, code_page);
    EXPECT_EQ(c.ecx(*core), 1u);
    EXPECT_EQ(c.ebx(*core), 1u);
  }
}

// The same block leads to other code in another address space: successors are remembered by core.
TEST(Cores, SharedBlocksKeepTheSuccessorsOfEachCore) {
  Cores c;
  c.build_second_tables();
  constexpr u64 shared = 0x20100;
  c.put(shared, {0xE9, 0xFB, 0xFE, 0x01, 0x00});  // jmp code_page
  c.put(code_page, inc_ebx_hlt);
  c.put(other_page, {0xFF, 0xC1, 0xF4});  // inc ecx; hlt
  c.first->core().state.gpr[1] = c.second->core().state.gpr[1] = 0;
  for (unsigned round = 1; round <= 3; ++round) {
    c.run(*c.first, shared);
    c.run(*c.second, shared);
    EXPECT_EQ(c.ebx(*c.first), round);
    EXPECT_EQ(c.ecx(*c.first), 0u);
    EXPECT_EQ(c.ecx(*c.second), round);
    EXPECT_EQ(c.ebx(*c.second), 0u);
  }
}

// A frame that takes another form lies elsewhere for every TLB.
TEST(Cores, FormsOfFramesChangeForAllTlbs) {
  Cores c;
  c.put(rip_at, {0x48, 0x8B, 0x06, 0xF4});  // mov rax, [rsi]; hlt
  c.bench.poke<u64>(shared_data, 0x1234);
  const auto read = [&](Processor& core) {
    core.core().state.gpr[6] = shared_data;
    c.run(core, rip_at);
    const u64 vmcb = &core == c.first.get() ? vmcb_at : second_vmcb;
    return u64{c.bench.peek<svm::Vmcb>(vmcb).rax};
  };
  EXPECT_EQ(read(*c.first), 0x1234u);
  EXPECT_EQ(read(*c.second), 0x1234u);
  std::vector<u8> page(page_size, 0x55);
  c.bench.dram.write(SystemPhysical(shared_data), c.bench.key(), page);  // under another key
  const u64 ciphertext = c.bench.peek<u64>(shared_data);
  EXPECT_NE(ciphertext, 0x1234u);
  EXPECT_EQ(read(*c.first), ciphertext);
  EXPECT_EQ(read(*c.second), ciphertext);
}

// LOCK ADD by turns, a few instructions each: no update is lost.
TEST(Cores, LockedInstructionsLoseNothing) {
  Cores c;
  // mov ecx, 100; lock inc dword [rsi]; dec ecx; jnz; hlt
  c.put(rip_at, {0xB9, 100, 0, 0, 0, 0xF0, 0xFF, 0x06, 0xFF, 0xC9, 0x75, 0xF9, 0xF4});
  c.bench.poke<u32>(shared_data, 0);
  for (Processor* core : {c.first.get(), c.second.get()}) {
    core->core().state.gpr[6] = shared_data;
    c.run(*core, rip_at);
  }
  EXPECT_EQ(c.bench.peek<u32>(shared_data), 200u);
}

}  // namespace
}  // namespace softsnp::cpu::test
