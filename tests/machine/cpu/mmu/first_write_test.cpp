// Fresh frames and frames held in another form: the MMU answers from copies, and nobody can tell.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "base/bytes.hpp"
#include "machine/cpu/exec/memory.hpp"
#include "machine/cpu/mmu/mmu.hpp"

namespace softsnp::cpu {
namespace {

constexpr u64 area = 0x40000, pages = 8;
constexpr auto raw = memory::KeyId::none, key = static_cast<memory::KeyId>(1);

class FirstWriteTest : public testing::Test {
 protected:
  FirstWriteTest()
      : dram_(u64{8} << 20),
        rmp_(dram_),
        code_(dram_),
        mmu_(std::make_unique<Mmu>(dram_, rmp_, code_)) {
    dram_.keys().install(key, memory::MemoryKey{{1}});
    core_->memory = mmu_.get();
    core_->state.cr0 = x86::cr0::pe;  // paging is off: linear = sPA
    mmu_->mode_changed(*core_);
    mmu_->flush_all(*core_);
  }
  u64 load_at(u64 linear) {
    u64 value = 0;
    EXPECT_TRUE(load<u64>(*core_, linear, value));
    return value;
  }
  void store_at(u64 linear, u64 value) { EXPECT_TRUE(store<u64>(*core_, linear, value)); }
  u64 on_the_bus(u64 at) {
    std::array<u8, 8> bytes{};
    dram_.read(SystemPhysical(at), raw, bytes);
    return load_le<u64>(bytes.data());
  }

  memory::Dram dram_;
  memory::Rmp rmp_;
  std::unique_ptr<Core> core_ = std::make_unique<Core>();
  CodeStore code_;
  std::unique_ptr<Mmu> mmu_;
};

TEST_F(FirstWriteTest, ZerosLeaveAFrameFresh) {
  for (u64 at = area; at < area + 2 * page_size; at += 8) {
    store_at(at, 0);
  }
  mmu_->settle();
  EXPECT_TRUE(dram_.first_write(SystemPhysical(area)));
  EXPECT_EQ(load_at(area + 24), 0u);
}

TEST_F(FirstWriteTest, ZerosUnderAKeyAreCipherTextOnTheBus) {
  const SystemPhysical page(area);
  dram_.write(page, key, std::vector<u8>(page_size, 0));
  const u64 cipher = on_the_bus(area);
  EXPECT_NE(cipher, 0u);
  EXPECT_EQ(load_at(area), cipher);
  store_at(area + 8, 5);
  mmu_->settle();
  EXPECT_EQ(on_the_bus(area), cipher) << "the rest of the page stands";
  EXPECT_EQ(on_the_bus(area + 8), 5u);
}

TEST_F(FirstWriteTest, AStoreIsThereForTheNextAskerOnceSettled) {
  store_at(area + 16, 0x1234);
  EXPECT_EQ(load_at(area + 16), 0x1234u) << "before it is settled";
  mmu_->settle();
  EXPECT_EQ(on_the_bus(area + 16), 0x1234u);
  EXPECT_FALSE(dram_.first_write(SystemPhysical(area)));
}

TEST_F(FirstWriteTest, APageAcrossAnotherKeepsBoth) {
  store_at(area + page_size - 4, 0x1122334455667788);
  mmu_->settle();
  EXPECT_EQ(on_the_bus(area + page_size - 4), 0x1122334455667788u);
}

TEST_F(FirstWriteTest, AFrameReadOnceKeepsItsForm) {
  const SystemPhysical page(area);
  dram_.write(page, key, std::vector<u8>(page_size, 7));
  const u64 cipher = on_the_bus(area);
  EXPECT_EQ(load_at(area), cipher);
  EXPECT_EQ(dram_.form(page), key);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(load_at(area), cipher);
  }
  EXPECT_EQ(dram_.form(page), raw) << "a frame that is used is converted";
}

// Loads, stores, pointers, and what others do between them, against plain memory.
TEST_F(FirstWriteTest, AgreesWithPlainMemory) {
  std::mt19937_64 random(7);
  std::vector<u8> model(pages * page_size, 0);
  const auto others = [&](u64 what) {
    mmu_->settle();
    const u64 offset = random() % pages * page_size;
    const SystemPhysical page(area + offset);
    switch (what) {
      case 0:
        dram_.release_frame(page);
        std::memset(&model[offset], 0, page_size);
        return;
      case 1:
        dram_.frame(page, key);  // another holds it; the bus sees the same
        return;
      case 2: {
        const u64 value = random();
        std::array<u8, 8> bytes;
        store_le(bytes.data(), value);
        dram_.write(page + 64, raw, bytes);
        store_le(&model[offset + 64], value);
        return;
      }
      default:
        ASSERT_EQ(on_the_bus(page.value() + 64), load_le<u64>(&model[offset + 64]));
    }
  };
  for (int i = 0; i < 300000; ++i) {
    const u64 offset = random() % (model.size() - 8);
    const u64 value = random() % 3 == 0 ? random() : 0;
    switch (random() % 8) {
      case 0:
      case 1:
      case 2:
        store_at(area + offset, value);
        store_le(&model[offset], value);
        break;
      case 3: {
        u8* to = direct(*core_, area + align_down(offset, 8), 8, Access::write);
        ASSERT_NE(to, nullptr);
        store_le(to, value);
        store_le(&model[align_down(offset, 8)], value);
        break;
      }
      case 4:
        others(random() % 40);
        break;
      default:
        ASSERT_EQ(load_at(area + offset), load_le<u64>(&model[offset])) << "step " << i;
    }
    mmu_->catch_up(*core_);
  }
}

}  // namespace
}  // namespace softsnp::cpu
