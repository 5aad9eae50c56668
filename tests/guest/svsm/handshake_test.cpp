// SVSM sheet 2.4, 3.1, 3.4: what counts as a call, and what the caller sees.
#include "tests/guest/svsm/expectations.hpp"

namespace softsnp::svsm::test {
namespace {

constexpr u64 query_core = protocol_query(Protocol::core, 1);

bool runnable(World& world) {
  return (world.platform.load<u64>(World::startup_vmsa + 0x0D0) & 0x1000) != 0;
}

TEST(Handshake, A_call_is_answered_and_the_vcpu_runnable_again) {
  World world;
  EXPECT_EQ(world.call(CoreCall::query_protocol, {0, query_core}), 0u);
  EXPECT_EQ(world.out.rcx, 0x0000000100000001u);
  EXPECT_EQ(world.turn, Turn::run_guest);
  EXPECT_TRUE(runnable(world));
  EXPECT_EQ(world.platform.load<u8>(World::startup_ca), 0);
  expect_closed(world);
}

TEST(Handshake, Without_a_pending_call_nothing_changes) {
  World world;
  const u64 rax = number(CoreCall::query_protocol);
  EXPECT_EQ(world.call(rax, {0, query_core}, 0, CallingArea::no_call), rax);
  EXPECT_EQ(world.out.rcx, query_core);
  EXPECT_TRUE(runnable(world));
}

TEST(Handshake, Another_exit_than_VMGEXIT_is_spurious_even_with_a_pending_call) {
  World world;
  world.platform.store(World::startup_vmsa + 0x3C0, u64{0x60});
  world.platform.store(World::startup_ca, CallingArea::call);
  world.platform.store(World::startup_vmsa + 0x1F8, number(CoreCall::query_protocol));
  const Services services{world.platform, world.state, world.reporter, nullptr};
  EXPECT_EQ(serve(services, 0), Turn::run_guest);
  EXPECT_EQ(world.platform.load<u8>(World::startup_ca), CallingArea::call);
  EXPECT_EQ(world.platform.load<u64>(World::startup_vmsa + 0x1F8),
            number(CoreCall::query_protocol));
  EXPECT_TRUE(runnable(world));
}

TEST(Handshake, A_reserved_pending_value_is_a_format_error) {
  World world;
  for (const u8 pending : {u8{2}, u8{0x80}, u8{0xFF}}) {
    EXPECT_EQ(world.call(number(CoreCall::query_protocol), {0, query_core}, 0, pending),
              number(ResultCode::invalid_format));
    EXPECT_EQ(world.out.rcx, query_core);
    EXPECT_EQ(world.platform.load<u8>(World::startup_ca), 0);
  }
}

TEST(Handshake, A_vcpu_that_nobody_created_stays_idle) {
  World world;
  EXPECT_EQ(serve({world.platform, world.state, world.reporter, nullptr}, 1), Turn::idle);
}

TEST(Handshake, Unknown_protocols_and_calls) {
  World world;
  EXPECT_EQ(world.call(u64{2} << 32, {}), number(ResultCode::unsupported_protocol));
  EXPECT_EQ(world.call(u64{0xFFFFFFFF} << 32, {}), number(ResultCode::unsupported_protocol));
  EXPECT_EQ(world.call(8, {}), number(ResultCode::unsupported_call));
  EXPECT_EQ(world.call(u64{1} << 32 | 2, {}), number(ResultCode::unsupported_call));
}

TEST(Handshake, R9_and_unused_registers_are_left_alone) {
  World world;
  world.call(CoreCall::query_protocol, {0, query_core, 0x1111, 0x2222, 0x3333});
  EXPECT_EQ(world.out.rdx, 0x1111u);
  EXPECT_EQ(world.out.r8, 0x2222u);
  EXPECT_EQ(world.out.r9, 0x3333u);
}

TEST(Protocols, Query_knows_core_and_attestation_in_version_1) {
  World world;
  const auto versions = [&](Protocol protocol, u32 version) {
    EXPECT_EQ(world.call(CoreCall::query_protocol, {0, protocol_query(protocol, version)}), 0u);
    return world.out.rcx;
  };
  EXPECT_EQ(versions(Protocol::core, 1), version_range(1, 1));
  EXPECT_EQ(versions(Protocol::attestation, 1), version_range(1, 1));
  EXPECT_EQ(versions(Protocol::core, 0), 0u);
  EXPECT_EQ(versions(Protocol::core, 2), 0u);
  EXPECT_EQ(versions(Protocol::vtpm, 1), 0u);
  EXPECT_EQ(versions(Protocol::apic, 1), 0u);
}

TEST(Protocols, Vtom_is_not_supported_and_reserved_bits_come_first) {
  World world;
  const auto configure = [&](u64 rcx) { return world.call(CoreCall::configure_vtom, {0, rcx}); };
  EXPECT_EQ(configure(1), 0u);
  EXPECT_EQ(world.out.rcx, 0u);
  EXPECT_EQ(configure(1 | 2), number(ResultCode::invalid_parameter));
  EXPECT_EQ(configure(2 | bit(5)), number(ResultCode::invalid_parameter));
  EXPECT_EQ(configure(bit(40)), number(ResultCode::invalid_parameter));
  EXPECT_EQ(configure(2 | bit(40)), number(ResultCode::invalid_request));
}

TEST(RemapCa, Moves_the_area_and_clears_pending_in_both) {
  World world;
  const GuestPhysical area = World::free_page;
  world.platform.store(area, CallingArea::call);
  EXPECT_EQ(world.call(CoreCall::remap_ca, {0, area.value()}), 0u);
  EXPECT_EQ(world.state.vcpus[0].calling_area, area);
  EXPECT_EQ(world.platform.load<u8>(World::startup_ca), 0);
  EXPECT_EQ(world.platform.load<u8>(area), 0);
  EXPECT_EQ(world.call(CoreCall::query_protocol, {0, query_core}), 0u);
  EXPECT_EQ(world.call(CoreCall::remap_ca, {0, area.value()}), 0u) << "to where it is";
}

TEST(RemapCa, Refuses_what_is_not_the_guests) {
  World world;
  ASSERT_EQ(
      (world.make_vmsa_image(World::new_vmsa), world.create(World::new_vmsa, World::other_ca, 1)),
      0u);
  const auto remap = [&](u64 gpa) { return world.call(CoreCall::remap_ca, {0, gpa}); };
  EXPECT_EQ(remap(World::free_page.value() + 8), number(ResultCode::invalid_parameter));
  EXPECT_EQ(remap(own_memory.start.value()), number(ResultCode::invalid_address));
  EXPECT_EQ(remap(World::new_vmsa.value()), number(ResultCode::invalid_address));
  EXPECT_EQ(remap(World::other_ca.value()), number(ResultCode::invalid_address));
  EXPECT_EQ(remap(0xA0000), number(ResultCode::invalid_address));
  EXPECT_EQ(remap(memory_bytes), number(ResultCode::invalid_address));
  EXPECT_EQ(remap(World::free_page.value() | bit(51)), number(ResultCode::invalid_address));
  world.platform.at(World::free_page).validated = false;
  EXPECT_EQ(remap(World::free_page.value()), number(ResultCode::invalid_address));
  EXPECT_EQ(world.state.vcpus[0].calling_area, World::startup_ca);
}

}  // namespace
}  // namespace softsnp::svsm::test
