// CREATE_VCPU and DELETE_VCPU. SVSM sheet 4.3, 4.4.
#include "tests/guest/svsm/expectations.hpp"

namespace softsnp::svsm::test {
namespace {

constexpr u64 bad_address = number(ResultCode::invalid_address);
constexpr u64 bad_parameter = number(ResultCode::invalid_parameter);

struct VcpuTest : testing::Test {
  VcpuTest() { world.make_vmsa_image(World::new_vmsa); }
  u64 remove(GuestPhysical vmsa, usize from = 0) {
    return world.call(CoreCall::delete_vcpu, {0, vmsa.value()}, from);
  }
  void expect_the_guests(GuestPhysical page) {
    EXPECT_FALSE(world.platform.at(page).vmsa);
    EXPECT_EQ(world.platform.at(page).permissions,
              (std::array<u8, 4>{0xFF, 0, full_permissions, 0}));
  }
  World world;
};

TEST_F(VcpuTest, Creates_and_closes_the_page) {
  EXPECT_EQ(world.create(World::new_vmsa, World::other_ca, 1), 0u);
  EXPECT_TRUE(world.platform.at(World::new_vmsa).vmsa);
  EXPECT_EQ(world.platform.at(World::new_vmsa).permissions,
            (std::array<u8, 4>{0xFF, 0, snp::permission::read, 0}));
  EXPECT_EQ(world.call(CoreCall::query_protocol, {0, 1}, 1), 0u) << "the new vCPU calls";
  expect_closed(world);
}

TEST_F(VcpuTest, Refuses_in_the_sheets_order) {
  const GuestPhysical vmsa = World::new_vmsa, area = World::other_ca;
  EXPECT_EQ(world.create(vmsa + 1, vmsa, 99), bad_parameter);
  EXPECT_EQ(world.create(vmsa, area + 8, 99), bad_parameter);
  EXPECT_EQ(world.create(vmsa, vmsa, 99), bad_address);
  EXPECT_EQ(world.create(own_memory.start, area, 99), bad_address);
  EXPECT_EQ(world.create(World::startup_vmsa, area, 99), bad_address);
  EXPECT_EQ(world.create(World::startup_ca, area, 99), bad_address);
  EXPECT_EQ(world.create(vmsa, World::startup_ca, 99), bad_address);
  EXPECT_EQ(world.create(vmsa, own_memory.start + 0x1000, 99), bad_address);
  EXPECT_EQ(world.create(vmsa, GuestPhysical(memory_bytes), 99), bad_address);
  EXPECT_EQ(world.create(vmsa, area, 99), bad_parameter);
  EXPECT_EQ(world.create(vmsa, area, u64{1} << 32 | 1), bad_parameter);
  expect_the_guests(vmsa);
}

TEST_F(VcpuTest, Looks_into_the_page_only_when_it_is_closed_and_gives_it_back) {
  struct Wrong {
    u8 vmpl;
    u64 efer, features;
  };
  for (const Wrong& wrong : {Wrong{0, 0x1000, 1}, Wrong{1, 0x1000, 1}, Wrong{3, 0x1000, 1},
                             Wrong{2, 0, 1}, Wrong{2, 0x1000, 0}, Wrong{2, 0x1000, 1 | bit(4)}}) {
    world.make_vmsa_image(World::new_vmsa, wrong.vmpl, wrong.efer, wrong.features);
    EXPECT_EQ(world.create(World::new_vmsa, World::other_ca, 1), bad_parameter);
    expect_the_guests(World::new_vmsa);
  }
  EXPECT_FALSE(world.state.vcpus[1].exists());
  expect_closed(world);
}

TEST_F(VcpuTest, A_failing_RMPADJUST_is_told_and_undone) {
  for (int before = 0; before < 4; ++before) {
    world.platform.rmpadjust_eax = 2;
    world.platform.rmpadjusts_before_eax = before;
    EXPECT_EQ(world.create(World::new_vmsa, World::other_ca, 1), number(fail_permission));
    expect_the_guests(World::new_vmsa);
  }
  world.platform.at(World::new_vmsa).assigned = false;
  EXPECT_EQ(world.create(World::new_vmsa, World::other_ca, 1), bad_address);
}

TEST_F(VcpuTest, A_second_VMSA_replaces_the_first_which_can_then_be_deleted) {
  ASSERT_EQ(world.create(World::new_vmsa, World::other_ca, 1), 0u);
  world.make_vmsa_image(World::second_vmsa);
  EXPECT_EQ(world.create(World::second_vmsa, World::other_ca, 1), 0u) << "same Calling Area";
  EXPECT_EQ(world.pvalidate_one(PageEntry::make(World::new_vmsa, PageSize::size_4k, false)),
            bad_address)
      << "still closed";
  EXPECT_EQ(remove(World::new_vmsa), 0u);
  expect_the_guests(World::new_vmsa);
  EXPECT_EQ(world.state.vcpus[1].vmsa, World::second_vmsa);
  EXPECT_EQ(world.call(CoreCall::query_protocol, {0, 1}, 1), 0u);
  expect_closed(world);
}

TEST_F(VcpuTest, Delete_refuses_what_is_no_VMSA_of_the_guests) {
  EXPECT_EQ(remove(World::new_vmsa), bad_parameter);
  EXPECT_EQ(remove(World::new_vmsa + 8), bad_parameter);
  EXPECT_EQ(remove(World::startup_vmsa), bad_parameter);
  EXPECT_EQ(remove(GuestPhysical(0)), bad_parameter);
}

TEST_F(VcpuTest, Delete_of_a_running_vcpu_is_in_use) {
  ASSERT_EQ(world.create(World::new_vmsa, World::other_ca, 1), 0u);
  world.platform.running = World::new_vmsa;
  EXPECT_EQ(remove(World::new_vmsa), number(fail_in_use));
  EXPECT_TRUE(world.platform.at(World::new_vmsa).vmsa);
  world.platform.running = GuestPhysical(0);
  EXPECT_EQ(remove(World::new_vmsa), 0u);
  EXPECT_FALSE(world.state.vcpus[1].exists());
  EXPECT_EQ(world.platform.load<u64>(World::new_vmsa + 0x0D0) & 0x1000, 0u);
}

TEST_F(VcpuTest, Delete_tells_what_RMPADJUST_says) {
  ASSERT_EQ(world.create(World::new_vmsa, World::other_ca, 1), 0u);
  world.platform.rmpadjust_eax = 3;
  EXPECT_EQ(remove(World::new_vmsa), number(fail_in_use));
  EXPECT_NE(world.platform.load<u64>(World::new_vmsa + 0x0D0) & 0x1000, 0u);
}

TEST_F(VcpuTest, A_vcpu_that_deletes_itself_gets_no_answer) {
  ASSERT_EQ(world.create(World::new_vmsa, World::other_ca, 1), 0u);
  const u64 call = number(CoreCall::delete_vcpu);
  EXPECT_EQ(world.call(call, {0, World::new_vmsa.value()}, 1), call);
  EXPECT_EQ(world.turn, Turn::idle);
  expect_the_guests(World::new_vmsa);
  EXPECT_EQ(world.create(World::new_vmsa, World::other_ca, 1), bad_parameter) << "SVME is clear";
}

TEST_F(VcpuTest, There_is_an_end_to_VMSAs) {
  u64 made = 0;
  for (u64 n = 0; n < 1000; ++n) {
    const GuestPhysical vmsa(0x400000 + n * page_size);
    world.make_vmsa_image(vmsa);
    const u64 result = world.create(vmsa, World::other_ca, 1);
    if (result != 0) {
      EXPECT_EQ(result, number(ResultCode::invalid_request));
      expect_the_guests(vmsa);
      break;
    }
    ++made;
  }
  EXPECT_GE(made, 64u);
  EXPECT_LT(made, 1000u);
  expect_closed(world);
}

}  // namespace
}  // namespace softsnp::svsm::test
