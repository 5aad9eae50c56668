// Every combination of table bits, control bits, privilege and access against a second, plain model
// of APM2 5.3-5.6 (the idea of kvm-unit-tests' access test).
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "base/bytes.hpp"
#include "machine/cpu/mmu/mmu.hpp"

namespace softsnp::cpu {
namespace {

using namespace x86;

constexpr u64 tables = 0x100000;  // PML4; PDPT, PD, PT follow
constexpr u64 target = 0x200000;

// What one table entry says, in words.
struct Level {
  bool present, writable, user, no_execute, large;
  u64 extra;  // reserved bits set on purpose
};

struct Case {
  Level level[4];  // PML4 first
  bool wp, nxe, smep, smap, ac, user;
  Access access;
};

struct Expected {
  bool fault = false;
  u64 error = 0;
};

Expected model(const Case& c) {
  u64 error = (c.access == Access::write ? pf_error::write : 0) | (c.user ? pf_error::user : 0) |
              (c.access == Access::fetch && (c.nxe || c.smep) ? pf_error::fetch : 0);
  bool writable = true, user = true, executable = true;
  for (int i = 0; i < 4; ++i) {
    const Level& l = c.level[i];
    if (!l.present) {
      return {true, error};
    }
    const bool leaf = i == 3 || (l.large && i != 0);
    if ((l.no_execute && !c.nxe) || (i == 0 && l.large) || (leaf && i != 3 && l.extra != 0)) {
      return {true, error | pf_error::present | pf_error::reserved};
    }
    writable = writable && l.writable;
    user = user && l.user;
    executable = executable && !l.no_execute;
    if (leaf) {
      break;
    }
  }
  bool ok = true;
  if (c.user) {
    ok = user && (c.access != Access::write || writable) &&
         (c.access != Access::fetch || executable);
  } else {
    if (c.access == Access::write && c.wp) {
      ok = writable;
    }
    if (c.access == Access::fetch) {
      ok = executable && !(c.smep && user);
    } else if (c.smap && user && !c.ac) {
      ok = false;
    }
  }
  return ok ? Expected{} : Expected{true, error | pf_error::present};
}

class AccessTest : public testing::Test {
 protected:
  AccessTest()
      : dram_(u64{64} << 20),
        rmp_(dram_),
        code_(dram_),
        mmu_(std::make_unique<Mmu>(dram_, rmp_, code_)) {
    core_->memory = mmu_.get();
  }

  void set_up(const Case& c) {
    u64 next = tables;
    for (int i = 0; i < 4; ++i) {
      const Level& l = c.level[i];
      const bool leaf = i == 3 || (l.large && i != 0);
      u64 entry = (l.present ? pte::present : 0) | (l.writable ? pte::write : 0) |
                  (l.user ? pte::user : 0) | (l.no_execute ? pte::nx : 0) |
                  (l.large && i != 3 ? pte::large : 0);
      entry |= leaf ? (i == 1 ? 0 : target) | (i == 3 ? 0 : l.extra) : next + page_size;
      u8 bytes[8];
      store_le(bytes, entry);
      dram_.write(SystemPhysical(next), memory::KeyId::none, bytes);
      next += page_size;
    }
    CoreState& s = core_->state;
    s = CoreState();
    s.cr0 = cr0::pe | cr0::pg | (c.wp ? cr0::wp : 0);
    s.cr4 = cr4::pae | (c.smep ? cr4::smep : 0) | (c.smap ? cr4::smap : 0);
    s.efer = efer::lme | efer::lma | (c.nxe ? efer::nxe : 0);
    s.cr3 = tables;
    s.cpl = c.user ? 3 : 0;
    s.system_flags |= c.ac ? rflags::ac : 0;
    s.seg[1].attributes = svm::attribute::long_mode;
    mmu_->mode_changed(*core_);
    mmu_->flush_all(*core_);
  }

  // True if the access went through.
  bool perform(Access access) {
    SystemPhysical at;
    core_->fault = {};
    return access == Access::fetch ? mmu_->fetch(*core_, 0x10, at) != nullptr
                                   : mmu_->translate(*core_, 0x10, 8, access) != nullptr;
  }

  memory::Dram dram_;
  memory::Rmp rmp_;
  std::unique_ptr<Core> core_ = std::make_unique<Core>();
  CodeStore code_;
  std::unique_ptr<Mmu> mmu_;
};

Case random_case(std::mt19937_64& random) {
  Case c{};
  const auto often = [&](unsigned percent) { return random() % 100 < percent; };
  for (int i = 0; i < 4; ++i) {
    c.level[i] = {often(94),
                  often(75),
                  often(75),
                  often(15),
                  often(i == 0 ? 3 : 25),
                  often(10) ? u64{0x8000} : 0};
  }
  c.wp = often(60);
  c.nxe = often(80);
  c.smep = often(40);
  c.smap = often(40);
  c.ac = often(50);
  c.user = often(50);
  c.access = static_cast<Access>(random() % 3);
  return c;
}

TEST_F(AccessTest, AgreesWithModel) {
  std::mt19937_64 random(1);
  unsigned faults = 0;
  for (int i = 0; i < 200000; ++i) {
    const Case c = random_case(random);
    set_up(c);
    const Expected expected = model(c);
    const bool ok = perform(c.access);
    ASSERT_EQ(ok, !expected.fault) << "case " << i;
    if (expected.fault) {
      ++faults;
      ASSERT_EQ(core_->fault.error_code, expected.error) << "case " << i;
      ASSERT_EQ(core_->fault.address, 0x10u);
    } else {
      // A second access, now from the TLB or the walk, must agree with the first.
      ASSERT_TRUE(perform(c.access));
    }
  }
  std::printf("200000 cases, %u faults\n", faults);
}

TEST_F(AccessTest, SetsAccessedAndDirty) {
  Case c{};
  for (Level& level : c.level) {
    level = {true, true, true, false, false, 0};
  }
  c.access = Access::read;
  set_up(c);
  ASSERT_TRUE(perform(Access::read));
  u8 bytes[8];
  dram_.read(SystemPhysical(tables + 3 * page_size), memory::KeyId::none, bytes);
  EXPECT_EQ(load_le<u64>(bytes) & (pte::accessed | pte::dirty), pte::accessed);
  ASSERT_TRUE(perform(Access::write));
  dram_.read(SystemPhysical(tables + 3 * page_size), memory::KeyId::none, bytes);
  EXPECT_EQ(load_le<u64>(bytes) & (pte::accessed | pte::dirty), pte::accessed | pte::dirty);
}

TEST_F(AccessTest, NonCanonicalIsGeneralProtection) {
  Case c{};
  for (Level& level : c.level) {
    level = {true, true, true, false, false, 0};
  }
  set_up(c);
  EXPECT_EQ(mmu_->translate(*core_, 0x8000'0000'0000'0000, 1, Access::read), nullptr);
  EXPECT_EQ(core_->fault.vector, static_cast<u8>(Vector::gp));
}

}  // namespace
}  // namespace softsnp::cpu
