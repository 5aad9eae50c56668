// The common checks and their order (firmware sheet 1.6), walked through the rows of the table and,
// for LAUNCH_UPDATE and DBG_DECRYPT, through all combinations of faults.
#include "machine/psp/command_row.hpp"
#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

using CheckOrderTest = PspTest;
using CommandBytes = std::array<u8, Request::max_bytes>;

std::vector<CommandRow> all_rows() {
  std::vector<CommandRow> rows(sev_command_rows().begin(), sev_command_rows().end());
  rows.insert(rows.end(), snp_command_rows().begin(), snp_command_rows().end());
  return rows;
}

TEST_F(CheckOrderTest, every_command_has_one_row) {
  usize expected = 0;
#define COMMAND(id, name, text) ++expected;
#include "arch/psp/command.inc"
#undef COMMAND
  EXPECT_EQ(all_rows().size(), expected);
  for (const CommandRow& row : all_rows()) {
    ASSERT_NE(find_row(number(row.command)), nullptr);
    EXPECT_EQ(find_row(number(row.command))->command, row.command);
    EXPECT_STRNE(name(row.command), "unknown command");
  }
  EXPECT_EQ(find_row(0x87), nullptr);
  EXPECT_EQ(find_row(0xFFFFFFFF), nullptr);
  EXPECT_EQ(psp.command(0x0B2, buffer), Status::invalid_command) << "newer than 1.55";
}

TEST_F(CheckOrderTest, commands_of_later_stages) {
  EXPECT_EQ(run(Command::snp_download_firmware_ex), Status::unsupported);
  for (const Command command : {Command::swap_out, Command::swap_in, Command::ring_buffer}) {
    EXPECT_EQ(run(command), Status::invalid_command);
  }
}

TEST_F(CheckOrderTest, buffer_must_be_memory) {
  for (const CommandRow& row : all_rows()) {
    if (row.handler != nullptr && row.bytes != 0 && !row.nothing_when_uninit) {
      EXPECT_EQ(psp.command(row.command, SystemPhysical(dram_bytes - row.bytes + 1)),
                Status::invalid_address)
          << name(row.command);
      EXPECT_EQ(psp.command(row.command, SystemPhysical(~u64{0})), Status::invalid_address);
    }
  }
}

TEST_F(CheckOrderTest, each_reserved_bit_of_each_row) {
  init();
  unsigned tried = 0;
  for (const CommandRow& row : all_rows()) {
    for (const MustBeZero& zero : row.zero) {
      for (unsigned n = 0; n < 64; ++n) {
        if (!has_bit(zero.mask, n) || zero.offset + n / 8 >= row.bytes) {
          continue;
        }
        CommandBytes bytes{};
        bytes[zero.offset + n / 8] = static_cast<u8>(1 << n % 8);
        // Under SNP a buffer that goes back must be the firmware's, or without an RMP entry.
        const SystemPhysical at = row.write_back == WriteBack::never ? buffer : outside;
        put(at, bytes);
        EXPECT_EQ(psp.command(row.command, at), Status::invalid_param)
            << name(row.command) << " offset " << unsigned{zero.offset} << " bit " << n;
        ++tried;
      }
    }
  }
  EXPECT_GT(tried, 1300u);
}

TEST_F(CheckOrderTest, reserved_fields_come_before_the_platform_state) {
  for (const CommandRow& row : all_rows()) {
    if (row.platform != PlatformRule::init || row.zero.empty()) {
      continue;
    }
    CommandBytes bytes{};
    if (row.command == Command::snp_launch_update) {
      bytes[8] = 2;  // a page type
    } else if (row.command == Command::snp_page_set_state) {
      bytes[0] = 0x10;
    } else if (row.command == Command::snp_activate_ex) {
      bytes[0] = 0x20;
    } else if (row.command == Command::snp_page_swap_out ||
               row.command == Command::snp_page_swap_in) {
      bytes[0x28] = 0x10;  // the entry in the context, which overlaps no page
    }
    EXPECT_EQ(run(row.command, bytes), Status::invalid_platform_state) << name(row.command);
    const MustBeZero& zero = row.zero[0];
    const unsigned n = static_cast<unsigned>(__builtin_ctzll(zero.mask));
    bytes[zero.offset + n / 8] = static_cast<u8>(bytes[zero.offset + n / 8] | 1 << n % 8);
    EXPECT_EQ(run(row.command, bytes), Status::invalid_param) << name(row.command);
  }
}

TEST_F(CheckOrderTest, context_comes_before_pages) {
  init();
  for (const CommandRow& row : all_rows()) {
    if (row.context == CommandRow::no_context) {
      continue;
    }
    CommandBytes bytes{};
    store_le(bytes.data() + row.context, free_page.value());
    if (row.command == Command::snp_launch_update) {
      bytes[8] = 2;
    } else if (row.command == Command::snp_activate_ex) {
      bytes[0] = 0x20;
    } else if (row.command == Command::snp_page_swap_out ||
               row.command == Command::snp_page_swap_in) {
      bytes[0x28] = 0x10;  // the entry in the context, which overlaps no page
    }
    EXPECT_EQ(run(row.command, bytes), Status::invalid_guest) << name(row.command);
    store_le(bytes.data() + row.context, rmp_base.value());
    EXPECT_EQ(run(row.command, bytes), Status::invalid_param) << "in the RMP";
    store_le(bytes.data() + row.context, u64{1} << 45);
    EXPECT_EQ(run(row.command, bytes), Status::invalid_address) << "no memory";
  }
}

// Faults of a LAUNCH_UPDATE of a 2M page, in the order in which they must be found.
enum Fault : unsigned {
  reserved_field,
  platform_uninit,
  no_context,
  wrong_page_state,
  wrong_size,
  unaligned,
  wrong_guest_state,
  inactive,
  wrong_owner,
  fault_count
};
constexpr Status found[] = {Status::invalid_param,       Status::invalid_platform_state,
                            Status::invalid_guest,       Status::invalid_page_state,
                            Status::invalid_page_size,   Status::invalid_address,
                            Status::invalid_guest_state, Status::inactive,
                            Status::invalid_page_owner};

TEST_F(CheckOrderTest, launch_update_reports_the_first_of_any_faults) {
  begin_launch();
  const PspState good_state = psp.state();
  for (unsigned faults = 0; faults < 1u << fault_count; ++faults) {
    const auto has = [faults](Fault fault) { return (faults >> fault & 1) != 0; };
    psp.restore(good_state);
    snp::RmpEntry entry;
    entry.set_assigned(true);
    entry.set_immutable(!has(wrong_page_state));
    entry.set_locked(!has(wrong_page_state));
    entry.set_asid(has(wrong_owner) ? Asid{9} : asid);
    entry.set_gpa(GuestPhysical(0x40000000));
    const memory::RmpCause cause{memory::RmpAgent::firmware, {}, 0, 0};
    if (has(wrong_size)) {
      rmp.write_page(page, PageSize::size_2m, {}, cause);
      rmp.write_entry(page, entry, cause);
      rmp.write_entry(page + page_size, entry, cause);
    } else {
      rmp.write_page(page, PageSize::size_2m, entry, cause);
    }
    change_state([&](PspState& state) {
      GuestContext& guest = state.guests.at(context);
      state.platform = has(platform_uninit) ? PlatformState::uninit : PlatformState::init;
      guest.state = has(wrong_guest_state) ? GuestState::running : GuestState::launch;
      guest.asid = has(inactive) ? Asid::host : asid;
    });
    SnpLaunchUpdate update = update_command(PageType::zero, page, PageSize::size_2m);
    update.mbz_0c = has(reserved_field) ? 1 : 0;
    update.gctx_paddr = has(no_context) ? free_page.value() : context.value();
    update.page_paddr += has(unaligned) ? page_size : 0;
    const unsigned first = static_cast<unsigned>(__builtin_ctz(faults | 1u << fault_count));
    const snp::RmpEntry before = rmp.entry(page);
    ASSERT_EQ(run(Command::snp_launch_update, update), faults == 0 ? Status::success : found[first])
        << "faults " << std::hex << faults << ": " << recorder.commands.back().detail;
    if (faults != 0) {
      ASSERT_EQ(rmp.entry(page), before);
      ASSERT_EQ(psp.guest(context)->launch_digest, good_state.guests.at(context).launch_digest);
      ASSERT_STRNE(recorder.commands.back().detail, "");
    }
  }
}

TEST_F(CheckOrderTest, dbg_decrypt_reports_the_first_of_any_faults) {
  begin_launch(default_policy | policy::debug);
  const PspState good_state = psp.state();
  make_firmware(other);
  make_pre_guest(page, 0x5000);
  const snp::RmpEntry good_source = rmp.entry(page);
  const snp::RmpEntry good_target = rmp.entry(other);
  const Status expected[] = {Status::invalid_param,      Status::invalid_platform_state,
                             Status::invalid_guest,      Status::invalid_page_state,
                             Status::invalid_page_state, Status::invalid_page_owner,
                             Status::policy_failure};
  constexpr unsigned count = std::size(expected);
  for (unsigned faults = 0; faults < 1u << count; ++faults) {
    const auto has = [faults](unsigned fault) { return (faults >> fault & 1) != 0; };
    psp.restore(good_state);
    const memory::RmpCause cause{memory::RmpAgent::firmware, {}, 0, 0};
    snp::RmpEntry source = good_source;
    source.set_asid(has(5) ? Asid{9} : asid);
    source.set_assigned(!has(3));
    rmp.write_entry(page, has(3) ? snp::RmpEntry{} : source, cause);
    rmp.write_entry(other, has(4) ? snp::RmpEntry{} : good_target, cause);
    change_state([&](PspState& state) {
      state.platform = has(1) ? PlatformState::uninit : PlatformState::init;
      state.guests.at(context).policy = has(6) ? default_policy : default_policy | policy::debug;
    });
    const SnpDebug debug{has(2) ? free_page.value() : context.value(),
                         page.value() + (has(0) ? 8 : 0), other.value()};
    const unsigned first = static_cast<unsigned>(__builtin_ctz(faults | 1u << count));
    ASSERT_EQ(run(Command::snp_dbg_decrypt, debug), faults == 0 ? Status::success : expected[first])
        << "faults " << std::hex << faults;
  }
}

TEST_F(CheckOrderTest, events_name_command_status_and_page) {
  begin_launch();
  EXPECT_EQ(launch_update(PageType::normal, page), Status::invalid_page_state);
  const CommandEvent& event = recorder.commands.back();
  EXPECT_EQ(event.id, 0xA1u);
  EXPECT_STREQ(event.name, "SNP_LAUNCH_UPDATE");
  EXPECT_EQ(event.status, Status::invalid_page_state);
  EXPECT_EQ(event.context, context);
  ASSERT_TRUE(event.page.has_value());
  EXPECT_EQ(event.page->at, page);
  EXPECT_STREQ(event.page->state, memory::name(memory::PageState::hypervisor));
  psp.command(0x777, buffer);
  EXPECT_EQ(recorder.commands.back().status, Status::invalid_command);
}

}  // namespace
}  // namespace softsnp::psp
