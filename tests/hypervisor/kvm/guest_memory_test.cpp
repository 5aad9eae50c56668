#include <gtest/gtest.h>

#include <random>

#include "arch/snp/features.hpp"
#include "hypervisor/kvm/own_ram.hpp"
#include "tests/hypervisor/fake_port.hpp"

namespace softsnp::kvm {
namespace {

constexpr u64 mib = u64{1} << 20;
constexpr u64 private_access = snp::npf::enc;
constexpr u64 rmp_fault = snp::npf::enc | snp::npf::rmp | 1;

struct Fixture {
  explicit Fixture(VmType type, u64 dram = 64 * mib)
      : port(dram),
        host(port),
        own_ram(host, memory),
        memory(host, {type, nullptr, {}}, observer, counters),
        is_snp(type == VmType::snp) {
    memory.set_asid(static_cast<Asid>(5));
  }
  Result<void, Error> set_region(u32 slot, GuestPhysical gpa, u64 bytes) {
    return own_ram.set(slot, gpa, bytes, is_snp);
  }
  NpfResolution fault(u64 gpa, u64 info) {
    return memory.handle_fault(GuestPhysical(gpa), info).resolution;
  }
  // What hardware would find for gpa.
  u64 leaf(u64 gpa) const {
    u64 table = memory.root().value();
    for (int level = 4; level > 0; --level) {
      u64 entry = 0;
      const int shift = 12 + 9 * (level - 1);
      const SystemPhysical at(table + ((gpa >> shift) & 511) * 8);
      (void)const_cast<test::FakePort&>(port)
          .load(at, {reinterpret_cast<u8*>(&entry), sizeof entry})
          .ok();
      if ((entry & 1) == 0 || level == 1 || (entry & 0x80) != 0) {
        return entry;
      }
      table = entry & mask_bits(51, 12);
    }
    return 0;
  }

  test::FakePort port;
  host::HostKernel host;
  Observer observer;
  Counters counters;
  OwnRam own_ram;
  GuestMemory memory;
  bool is_snp;
};

TEST(GuestMemory, SlotsMayNotOverlap) {
  Fixture f(VmType::plain);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 16 * mib).ok());
  EXPECT_EQ(f.set_region(1, GuestPhysical(15 * mib), mib).error().number, EEXIST);
  EXPECT_EQ(f.set_region(0, GuestPhysical(32 * mib), mib).error().number, EEXIST);
  EXPECT_EQ(f.set_region(1, GuestPhysical(0x1001), mib).error().number, EINVAL);
  EXPECT_EQ(f.set_region(1, GuestPhysical(~u64{0xFFF}), 0x2000).error().number, EINVAL);
  EXPECT_EQ(f.set_region(9, GuestPhysical(0), 0).error().number, EINVAL);
  ASSERT_TRUE(f.set_region(1, GuestPhysical(16 * mib), mib).ok());
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 0).ok());
  EXPECT_TRUE(f.set_region(2, GuestPhysical(0), mib).ok());
}

TEST(GuestMemory, PlainMemoryIsMappedInLargePages) {
  Fixture f(VmType::plain);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 4 * mib + 0x3000).ok());
  EXPECT_EQ(f.fault(0x5123, 4), NpfResolution::mapped_2m);
  EXPECT_EQ(f.leaf(0x1FFFFF) & 0x87, 0x87u);
  EXPECT_EQ(f.fault(4 * mib + 0x1000, 4), NpfResolution::mapped_4k) << "the slot's short tail";
  EXPECT_EQ(f.fault(0x5123, 4), NpfResolution::spurious);
  EXPECT_FALSE(f.memory.handle_fault(GuestPhysical(8 * mib), 4).has_slot);
}

TEST(GuestMemory, VmmAndGuestSeeTheSamePages) {
  Fixture f(VmType::plain);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 4 * mib).ok());
  std::vector<u8> bytes(0x2000);
  for (usize i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<u8>(i * 7);
  }
  ASSERT_TRUE(f.memory.write_shared(GuestPhysical(2 * mib - 0x1001), bytes).ok());
  EXPECT_EQ(f.fault(2 * mib - 1, 4), NpfResolution::mapped_2m);
  const SystemPhysical frame(f.leaf(0) & mask_bits(51, 21));
  u8 byte = 0;
  ASSERT_TRUE(f.port.load(frame + 2 * mib - 0x1001 + 0, {&byte, 1}).ok());
  std::vector<u8> back(bytes.size());
  ASSERT_TRUE(f.memory.read_shared(GuestPhysical(2 * mib - 0x1001), back).ok());
  EXPECT_EQ(back, bytes);
  EXPECT_EQ(f.memory.read_shared(GuestPhysical(4 * mib - 1), back).error().number, EFAULT);
}

TEST(GuestMemory, PrivateFaultMakesOneLargeEntryAndOneLargeLeaf) {
  Fixture f(VmType::snp);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 4 * mib).ok());
  ASSERT_TRUE(f.memory.set_private(GuestPhysical(0), 4 * mib, true).ok());
  EXPECT_EQ(f.fault(0x3000, private_access), NpfResolution::mapped_2m);
  const u64 leaf = f.leaf(0x3000);
  EXPECT_NE(leaf & 0x80, 0u);
  const snp::RmpUpdate entry = f.port.entry(SystemPhysical(leaf & mask_bits(51, 21)));
  EXPECT_EQ(entry.asid, 5u);
  EXPECT_EQ(entry.page_size, 1);
  EXPECT_EQ(entry.immutable, 0);
  EXPECT_EQ(entry.gpa, 0u);
  EXPECT_EQ(f.port.rmpupdates, 1u);
}

TEST(GuestMemory, WrongKindOfAccessIsAMismatch) {
  Fixture f(VmType::snp);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 4 * mib).ok());
  ASSERT_TRUE(f.memory.set_private(GuestPhysical(0), 2 * mib, true).ok());
  EXPECT_EQ(f.fault(0x3000, 4), NpfResolution::mismatch);
  EXPECT_EQ(f.fault(2 * mib, private_access), NpfResolution::mismatch);
  EXPECT_EQ(f.fault(2 * mib, 4), NpfResolution::mapped_2m);
  u8 byte = 0;
  EXPECT_EQ(f.memory.read_shared(GuestPhysical(0x3000), {&byte, 1}).error().number, EFAULT);
  EXPECT_EQ(f.memory.write_shared(GuestPhysical(0x3000), {&byte, 1}).error().number, EFAULT);
}

// Hardware sheet 7.2: bits 48 to 51 but the C-bit position counts too; present.
TEST(GuestMemory, HolesOfSnpGuestsFaultWithReservedBits) {
  Fixture f(VmType::snp);
  EXPECT_EQ(f.fault(0xFEC00000, 4), NpfResolution::mmio_entry);
  EXPECT_EQ(f.leaf(0xFEC00000), mask_bits(51, 48) | 7);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0xFEC00000), 0x1000).ok());
  EXPECT_EQ(f.leaf(0xFEC00000), 0u) << "a new slot takes the entry away";
  EXPECT_EQ(f.fault(u64{1} << 50, 4), NpfResolution::unresolved);
}

TEST(GuestMemory, OnePageSharedSmashesAndPunchesAHole) {
  Fixture f(VmType::snp);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 4 * mib).ok());
  ASSERT_TRUE(f.memory.set_private(GuestPhysical(0), 4 * mib, true).ok());
  ASSERT_EQ(f.fault(0, private_access), NpfResolution::mapped_2m);
  const SystemPhysical frame(f.leaf(0) & mask_bits(51, 21));
  const u64 shrinks = f.memory.shrink_count();
  ASSERT_TRUE(f.memory.set_private(GuestPhysical(0x5000), 0x1000, false).ok());
  EXPECT_GT(f.memory.shrink_count(), shrinks);
  EXPECT_EQ(f.port.psmashes, 1u);
  EXPECT_EQ(f.leaf(0x5000), 0u);
  EXPECT_EQ(f.port.entry(frame + 0x5000).assigned, 0);
  EXPECT_EQ(f.port.entry(frame + 0x6000).assigned, 1);
  // The rest is mapped in small pages now, the hole from shared memory.
  EXPECT_EQ(f.fault(0x6000, private_access), NpfResolution::mapped_4k);
  EXPECT_EQ(f.leaf(0x6000) & mask_bits(51, 12), (frame + 0x6000).value());
  EXPECT_EQ(f.fault(0x5000, 6), NpfResolution::mapped_4k);
  const SystemPhysical shared(f.leaf(0x5000) & mask_bits(51, 12));
  EXPECT_EQ(f.port.entry(shared).assigned, 0);
  // And back: another page, one 4 KiB entry.
  ASSERT_TRUE(f.memory.set_private(GuestPhysical(0x5000), 0x1000, true).ok());
  EXPECT_EQ(f.fault(0x5000, private_access), NpfResolution::mapped_4k);
  EXPECT_EQ(f.port.entry(SystemPhysical(f.leaf(0x5000) & mask_bits(51, 12))).gpa, 0x5000u);
}

TEST(GuestMemory, WholeFramesChangeHandsInOneUpdate) {
  Fixture f(VmType::snp);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 4 * mib).ok());
  ASSERT_TRUE(f.memory.set_private(GuestPhysical(0), 4 * mib, true).ok());
  ASSERT_EQ(f.fault(2 * mib, private_access), NpfResolution::mapped_2m);
  ASSERT_TRUE(f.memory.set_private(GuestPhysical(2 * mib), 2 * mib, false).ok());
  EXPECT_EQ(f.port.psmashes, 0u);
  EXPECT_EQ(f.port.rmpupdates, 2u);
  EXPECT_TRUE(f.port.rmp.empty());
  EXPECT_EQ(f.fault(2 * mib, 6), NpfResolution::mapped_2m);
}

TEST(GuestMemory, SizeFaultsAreRepaired) {
  Fixture f(VmType::snp);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 4 * mib).ok());
  ASSERT_TRUE(f.memory.set_private(GuestPhysical(0), 4 * mib, true).ok());
  ASSERT_EQ(f.fault(0, private_access), NpfResolution::mapped_2m);
  // PVALIDATE of 4K on the 2M entry.
  EXPECT_EQ(f.fault(0x7000, rmp_fault | snp::npf::sizem), NpfResolution::smashed);
  EXPECT_EQ(f.port.psmashes, 1u);
  EXPECT_EQ(f.leaf(0x7000), 0u);
  EXPECT_EQ(f.fault(0x7000, private_access), NpfResolution::mapped_4k);
  // The same fault again cannot be helped by the host.
  EXPECT_EQ(f.fault(0x7000, rmp_fault | snp::npf::vmpl), NpfResolution::unresolved);
}

TEST(GuestMemory, PrivateNeedsMemory) {
  Fixture f(VmType::snp);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 2 * mib).ok());
  EXPECT_EQ(f.memory.set_private(GuestPhysical(mib), 2 * mib, true).error().number, ENOENT);
  EXPECT_FALSE(f.memory.is_private(GuestPhysical(mib)));
  EXPECT_TRUE(f.memory.set_private(GuestPhysical(16 * mib), mib, false).ok());
  EXPECT_EQ(f.memory.set_private(GuestPhysical(0x800), 0x1000, true).error().number, EINVAL);
  EXPECT_EQ(f.memory.set_private(GuestPhysical(0), 0, true).error().number, EINVAL);
  Fixture plain(VmType::plain);
  EXPECT_EQ(plain.memory.set_private(GuestPhysical(0), 0x1000, false).error().number, EINVAL);
}

TEST(GuestMemory, MemoryThatRunsOutIsAnAnswer) {
  Fixture f(VmType::plain, 8 * mib);
  ASSERT_TRUE(f.set_region(0, GuestPhysical(0), 64 * mib).ok());
  NpfResolution last = NpfResolution::mapped_2m;
  for (u64 gpa = 0; gpa < 64 * mib && last != NpfResolution::out_of_memory; gpa += 0x1000) {
    last = f.fault(gpa, 4);
  }
  EXPECT_EQ(last, NpfResolution::out_of_memory);
}

// Whatever happens, nothing is lost: at the end all pages are free again and no RMP entry is left,
// and no page was ever private to the guest and mapped as shared, or the reverse.
TEST(GuestMemory, RandomConversionsLeakNothing) {
  test::FakePort port(64 * mib);
  host::HostKernel host(port);
  const u64 free_before = host.memory.free_pages();
  {
    Observer observer;
    Counters counters;
    std::optional<OwnRam> own_ram;
    GuestMemory memory(host, {VmType::snp, nullptr, {}}, observer, counters);
    own_ram.emplace(host, memory);
    memory.set_asid(static_cast<Asid>(5));
    ASSERT_TRUE(own_ram->set(0, GuestPhysical(0), 8 * mib + 0x5000, true).ok());
    ASSERT_TRUE(memory.set_private(GuestPhysical(0), 8 * mib + 0x5000, true).ok());
    std::mt19937_64 random(3);
    for (int step = 0; step < 3000; ++step) {
      const u64 page = random() % (8 * mib / page_size + 5) * page_size;
      switch (random() % 8) {
        case 0: {
          const u64 length = (1 + random() % 64) * page_size;
          (void)memory.set_private(GuestPhysical(page), length, random() % 2 == 0).ok();
          break;
        }
        case 1:
          (void)memory
              .set_private(GuestPhysical(align_down(page, 2 * mib)), 2 * mib, random() % 2 == 0)
              .ok();
          break;
        default: {
          const bool is_private = memory.is_private(GuestPhysical(page));
          const auto answer =
              memory.handle_fault(GuestPhysical(page), is_private ? private_access : 6);
          ASSERT_NE(answer.resolution, NpfResolution::unresolved);
          ASSERT_NE(answer.resolution, NpfResolution::mismatch);
          break;
        }
      }
    }
    EXPECT_EQ(port.host_faults, 0u);
  }
  EXPECT_TRUE(port.rmp.empty());
  EXPECT_EQ(host.memory.free_pages(), free_before);
  EXPECT_TRUE(host.memory.leaked().empty());
}

}  // namespace
}  // namespace softsnp::kvm
