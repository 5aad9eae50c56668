// Guests, handles and ASIDs of the legacy commands. Firmware sheet 7.1, 1.4.
#include "tests/machine/psp/sev_fixture.hpp"

namespace softsnp::psp {
namespace {

using SevGuestTest = SevTest;
using memory::key_of;

TEST_F(SevGuestTest, life_of_a_guest) {
  snp_and_sev_init();
  const u32 handle = started(0x1);
  EXPECT_EQ(guest_status(handle).policy, 1u);
  EXPECT_EQ(guest_status(handle).asid, 0u);
  EXPECT_EQ(state_of_guest(handle), SevGuestState::lupdate);
  ASSERT_EQ(activate(handle, sev_asid), Status::success);
  EXPECT_EQ(guest_status(handle).asid, number(sev_asid));
  EXPECT_EQ(psp.state().asids.state(sev_asid), AsidState::allocated);
  SevMeasurement measurement;
  ASSERT_EQ(measure(handle, measurement), Status::success);
  EXPECT_EQ(state_of_guest(handle), SevGuestState::lsecret);
  EXPECT_EQ(measure(handle, measurement), Status::invalid_guest_state);
  ASSERT_EQ(of_handle(Command::launch_finish, handle), Status::success);
  EXPECT_EQ(state_of_guest(handle), SevGuestState::running);
  EXPECT_EQ(psp.state().asids.state(sev_asid), AsidState::in_use);
  EXPECT_EQ(of_handle(Command::launch_finish, handle), Status::invalid_guest_state);
  EXPECT_EQ(of_handle(Command::decommission, handle), Status::active);
  ASSERT_EQ(of_handle(Command::deactivate, handle), Status::success);
  EXPECT_EQ(psp.state().asids.state(sev_asid), AsidState::dirty);
  EXPECT_EQ(of_handle(Command::deactivate, handle), Status::inactive);
  EXPECT_EQ(activate(handle, sev_asid), Status::df_flush_required);
  flush();
  ASSERT_EQ(activate(handle, sev_asid), Status::success);
  EXPECT_EQ(psp.state().asids.state(sev_asid), AsidState::in_use) << "it runs already";
  ASSERT_EQ(of_handle(Command::deactivate, handle), Status::success);
  ASSERT_EQ(of_handle(Command::decommission, handle), Status::success);
  EXPECT_EQ(of_handle(Command::decommission, handle), Status::invalid_platform_state)
      << "no guest is left";
  EXPECT_EQ(guest_status(handle).state, 0);
}

TEST_F(SevGuestTest, asid_ranges_and_owners) {
  snp_and_sev_init();
  const u32 plain = started();
  const u32 encrypted = started(es);
  for (const u32 wrong : {0u, 99u, 1007u, 0xFFFFFFFFu}) {
    EXPECT_EQ(activate(plain, Asid{wrong}), Status::invalid_asid) << wrong;
  }
  for (const u32 wrong : {0u, 100u, 1007u}) {
    EXPECT_EQ(activate(encrypted, Asid{wrong}), Status::invalid_asid) << wrong;
  }
  EXPECT_EQ(activate(0, sev_asid), Status::invalid_guest);
  EXPECT_EQ(activate(plain, Asid{100}), Status::success);
  EXPECT_EQ(activate(plain, Asid{100}), Status::active);
  EXPECT_EQ(activate(plain, Asid{101}), Status::active);
  EXPECT_EQ(activate(started(), Asid{100}), Status::asid_owned);
  EXPECT_EQ(activate(encrypted, Asid{99}), Status::success);
}

// One table for both kinds of guest.
TEST_F(SevGuestTest, asids_are_shared_with_snp) {
  snp_and_sev_init();
  const u32 handle = started(es);
  create_context();
  ASSERT_EQ(launch_start(), Status::success);
  ASSERT_EQ(PspTest::activate(context, es_asid), Status::success);
  EXPECT_EQ(activate(handle, es_asid), Status::asid_owned);
  EXPECT_EQ(activate(handle, asid), Status::success);
  create_context(other);
  ASSERT_EQ(launch_start(other), Status::success);
  EXPECT_EQ(PspTest::activate(other, asid), Status::asid_owned);
  ASSERT_EQ(of_handle(Command::deactivate, handle), Status::success);
  EXPECT_EQ(PspTest::activate(other, asid), Status::success) << "never ran: clean";
}

TEST_F(SevGuestTest, activate_ex) {
  snp_and_sev_init();
  SevActivateEx command{sizeof command, started(), number(sev_asid), 4, input.value()};
  const auto with = [&](auto change) {
    SevActivateEx changed = command;
    change(changed);
    return run(Command::activate_ex, changed);
  };
  EXPECT_EQ(with([](auto& c) { c.length = 0x17; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& c) { c.num_ids = 0; }), Status::invalid_param);
  EXPECT_EQ(with([](auto& c) { c.num_ids = 5; }), Status::invalid_param);
  EXPECT_EQ(with([](auto& c) { c.ids_paddr = dram_bytes - 8; }), Status::invalid_address);
  EXPECT_EQ(with([](auto& c) { c.handle = 99; }), Status::invalid_guest);
  EXPECT_EQ(with([](auto&) {}), Status::success);
  EXPECT_EQ(with([](auto&) {}), Status::active);
}

TEST_F(SevGuestTest, keys_come_and_go_with_the_asid) {
  snp_and_sev_init();
  const u32 handle = activated();
  const Bytes text = pattern(32);
  dram.write(memory_at, key_of(sev_asid), text);
  ASSERT_EQ(of_handle(Command::deactivate, handle), Status::success);
  EXPECT_NE(bytes_at(memory_at, 32, key_of(sev_asid)), text);
  ASSERT_EQ(activate(handle, Asid{130}), Status::success);
  EXPECT_EQ(bytes_at(memory_at, 32, key_of(Asid{130})), text) << "the key is the guest's";
}

TEST_F(SevGuestTest, key_sharing) {
  snp_and_sev_init();
  const u32 first = activated(sev_policy::nodbg);
  u32 second = 0;
  EXPECT_EQ(start(0, second, first), Status::policy_failure) << "another policy";
  EXPECT_EQ(start(sev_policy::nodbg, second, 77), Status::invalid_guest);
  ASSERT_EQ(start(sev_policy::nodbg, second, first), Status::success);
  EXPECT_NE(second, first);
  ASSERT_EQ(activate(second, Asid{121}), Status::success);
  const Bytes text = pattern(32);
  dram.write(memory_at, key_of(sev_asid), text);
  EXPECT_EQ(bytes_at(memory_at, 32, key_of(Asid{121})), text);
  const u32 alone = started(sev_policy::noks);
  EXPECT_EQ(start(sev_policy::noks, second, alone), Status::policy_failure);
}

TEST_F(SevGuestTest, handles_run_out) {
  snp_and_sev_init();
  const u32 handle = started();
  change_state([&](PspState& state) {
    while (state.sev.guests.size() < SevState::max_guests) {
      state.sev.guests.emplace(static_cast<u32>(5000 + state.sev.guests.size()),
                               state.sev.guests.at(handle));
    }
  });
  u32 another = 0;
  EXPECT_EQ(start(0, another), Status::resource_limit);
}

TEST_F(SevGuestTest, debugging) {
  snp_and_sev_init();
  const u32 handle = activated();
  const Bytes text = pattern(48);
  dram.write(memory_at, key_of(sev_asid), text);
  const auto debug = [&](Command command, SystemPhysical from, SystemPhysical to, u32 bytes) {
    return run(command, SevDebug{handle, 0, from.value(), to.value(), bytes});
  };
  EXPECT_EQ(debug(Command::dbg_decrypt, memory_at + 8, outside, 48), Status::invalid_address);
  EXPECT_EQ(debug(Command::dbg_decrypt, memory_at, outside + 8, 48), Status::invalid_address);
  EXPECT_EQ(debug(Command::dbg_decrypt, memory_at, outside, 40), Status::invalid_length);
  EXPECT_EQ(debug(Command::dbg_decrypt, memory_at, outside, 0), Status::invalid_length);
  EXPECT_EQ(debug(Command::dbg_decrypt, memory_at, output, 48), Status::invalid_page_state);
  ASSERT_EQ(debug(Command::dbg_decrypt, memory_at, outside, 48), Status::success);
  EXPECT_EQ(bytes_at(outside, 48), text);
  fill(input, pattern(32, 9));
  EXPECT_EQ(debug(Command::dbg_encrypt, input, memory_at, 32), Status::invalid_page_state);
  make_firmware(memory_at);
  ASSERT_EQ(debug(Command::dbg_encrypt, input, memory_at, 32), Status::success);
  EXPECT_EQ(bytes_at(memory_at, 32, key_of(sev_asid)), pattern(32, 9));
  EXPECT_EQ(bytes_at(memory_at + 32, 16, key_of(sev_asid)), Bytes(text.begin() + 32, text.end()));
  ASSERT_EQ(of_handle(Command::deactivate, handle), Status::success);
  EXPECT_EQ(debug(Command::dbg_decrypt, memory_at, outside, 48), Status::inactive);
  const u32 closed = started(sev_policy::nodbg);
  EXPECT_EQ(run(Command::dbg_decrypt, SevDebug{closed, 0, memory_at.value(), outside.value(), 48}),
            Status::policy_failure)
      << "before INACTIVE";
}

TEST_F(SevGuestTest, copy) {
  snp_and_sev_init();
  const u32 handle = activated();
  Bytes text = pattern(3 * page_size);
  dram.write(memory_at, key_of(sev_asid), text);
  const auto copy = [&](u64 from, u64 to, u32 bytes) {
    return run(Command::copy, SevCopy{handle, bytes, from, to});
  };
  const u64 at = memory_at.value();
  EXPECT_EQ(copy(at + 16, at + page_size, page_size), Status::invalid_address);
  EXPECT_EQ(copy(at, at + page_size, 0x800), Status::invalid_length);
  EXPECT_EQ(copy(at, at + page_size, 0), Status::invalid_length);
  EXPECT_EQ(copy(at, at + page_size, 3 * page_size), Status::invalid_page_state);
  make_firmware(memory_at, PageSize::size_2m);
  ASSERT_EQ(copy(at, at + page_size, 3 * page_size), Status::success) << "overlapping, upwards";
  EXPECT_EQ(bytes_at(memory_at + page_size, text.size(), key_of(sev_asid)), text);
  ASSERT_EQ(copy(at + page_size, at, 3 * page_size), Status::success) << "downwards";
  EXPECT_EQ(bytes_at(memory_at, text.size(), key_of(sev_asid)), text);
}

}  // namespace
}  // namespace softsnp::psp
