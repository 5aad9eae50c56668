// EXPORT, IMPORT, ABSORB, ABSORB_NOMA: an SNP guest goes from one machine to another with the help
// of its agent. Firmware sheet 4.3.
#include <cstring>

#include "tests/machine/psp/guest_message_fixture.hpp"

namespace softsnp::psp {
namespace {

using memory::key_of;
using memory::PageState;

// A machine with an agent that runs (the fixture's guest).
struct Host : GuestMessageTest {
  explicit Host(u64 seed) : GuestMessageTest({.seed = seed}) {
    start_guest();
    make_firmware(metadata);
    make_firmware(cipher);
  }
  void TestBody() override {}

  static constexpr SystemPhysical moving{0x900000};  // context page of the guest that moves
  static constexpr SystemPhysical metadata{0xA00000}, cipher{0xA01000}, memory_at{0xB00000};
  static constexpr Asid moving_asid{6};

  void launch_moving(bool image = false, u64 policy = default_policy | policy::migrate_ma) {
    create_context(moving);
    SnpLaunchStart start = start_command(moving, policy);
    start.flags = SnpLaunchStart::ma_en | (image ? SnpLaunchStart::imi_en : 0);
    start.ma_gctx_paddr = context.value();
    ASSERT_EQ(run(Command::snp_launch_start, start), Status::success);
    ASSERT_EQ(activate(moving, moving_asid), Status::success);
  }
  void run_moving() {
    launch_moving();
    SnpLaunchFinish finish{};
    finish.gctx_paddr = moving.value();
    std::iota(std::begin(finish.host_data), std::end(finish.host_data), u8{0x30});
    ASSERT_EQ(run(Command::snp_launch_finish, finish), Status::success);
  }
  SnpPageSwap swap(SystemPhysical from, SystemPhysical to, SwapType type, bool root) {
    SnpPageSwap made{};
    made.gctx_paddr = moving.value();
    made.src_paddr = from.value();
    made.dst_paddr = to.value();
    made.mdata_paddr = root ? 0 : metadata.value();
    made.flags = static_cast<u64>(type) << 1 | (root ? SnpPageSwap::root_mdata_en : 0);
    return made;
  }
  ExportResponse exported(u64 flags = 0, SystemPhysical of = moving) {
    return exchange<ExportResponse>(MessageType::export_request, ExportRequest{of.value(), flags});
  }
  static ImportRequest import_request(const ExportedContext& from) {
    ImportRequest import{};
    import.gctx_paddr = moving.value();
    import.size = 0x300;
    import.version = 3;
    import.context = from;
    return import;
  }
  u32 answer(MessageType type, const ImportRequest& asked) {
    return exchange<StatusResponse>(type, asked).status;
  }
  const GuestContext& moving_guest() { return *psp.guest(moving); }
  template <class Change>
  void change_moving(Change change) {
    change_state([&](PspState& state) { change(state.guests.at(moving)); });
  }
  using GuestMessageTest::activate;
  using GuestMessageTest::change_entry;
  using GuestMessageTest::change_state;
  using GuestMessageTest::context;
  using GuestMessageTest::create_context;
  using GuestMessageTest::dram;
  using GuestMessageTest::guest;
  using GuestMessageTest::make_firmware;
  using GuestMessageTest::make_pre_guest;
  using GuestMessageTest::page_bytes;
  using GuestMessageTest::psp;
  using GuestMessageTest::rmp;
  using GuestMessageTest::run;
  using GuestMessageTest::state_of;
};

std::vector<u8> some_text() {
  std::vector<u8> text(page_size);
  std::iota(text.begin(), text.end(), u8{7});
  return text;
}

TEST(MigrationMessages, a_guest_moves_with_its_memory_and_its_keys) {
  Host a(1);
  Host b(2);
  a.run_moving();
  const GuestContext before = a.moving_guest();
  // One page of memory: out, then the metadata out, rooted in the context.
  a.make_pre_guest(Host::memory_at, 0x5000, PageSize::size_4k, Host::moving_asid);
  a.change_entry(Host::memory_at, [](snp::RmpEntry& entry) { entry.set_validated(true); });
  a.dram.write(Host::memory_at, key_of(Host::moving_asid), some_text());
  ASSERT_EQ(
      a.run(Command::snp_page_md_init, SnpPageMdInit{Host::moving.value(), Host::metadata.value()}),
      Status::success);
  ASSERT_EQ(a.run(Command::snp_page_swap_out,
                  a.swap(Host::memory_at, Host::cipher, SwapType::data, false)),
            Status::success);
  const std::vector<u8> page = a.page_bytes(Host::cipher);
  ASSERT_EQ(a.run(Command::snp_page_swap_out,
                  a.swap(Host::metadata, Host::cipher, SwapType::metadata, true)),
            Status::success);
  const std::vector<u8> entries = a.page_bytes(Host::cipher);

  const ExportResponse exported = a.exported();
  ASSERT_EQ(exported.status, 0u);
  EXPECT_EQ(exported.context_size, 0x300u);
  EXPECT_EQ(exported.context_version, 3u);
  EXPECT_EQ(a.psp.guest(Host::moving), nullptr) << "it is here no more";
  EXPECT_EQ(a.state_of(Host::moving), PageState::firmware);

  b.create_context(Host::moving);
  ASSERT_EQ(b.answer(MessageType::import_request, Host::import_request(exported.context)), 0u);
  const GuestContext& after = b.moving_guest();
  EXPECT_EQ(after.state, GuestState::running);
  EXPECT_EQ(after.launch_digest, before.launch_digest);
  EXPECT_EQ(after.host_data, before.host_data);
  EXPECT_EQ(after.vmpck, before.vmpck);
  EXPECT_EQ(after.vmrk, before.vmrk);
  EXPECT_EQ(after.policy, before.policy);
  EXPECT_NE(after.report_id, before.report_id) << "new";
  EXPECT_EQ(after.report_id_ma, b.guest().report_id) << "its agent here";
  EXPECT_NE(std::memcmp(after.vek.bytes, before.vek.bytes, 16), 0) << "memory keys never travel";
  EXPECT_EQ(b.psp.state().guest_count, 2u);
  EXPECT_EQ(b.answer(MessageType::import_request, Host::import_request(exported.context)),
            number(Status::invalid_guest_state));

  ASSERT_EQ(b.activate(Host::moving, Host::moving_asid), Status::success);
  b.dram.write(Host::cipher, memory::KeyId::none, entries);
  ASSERT_EQ(b.run(Command::snp_page_swap_in,
                  b.swap(Host::cipher, Host::metadata, SwapType::metadata, true)),
            Status::success);
  b.make_pre_guest(Host::memory_at, 0x5000, PageSize::size_4k, Host::moving_asid);
  b.dram.write(Host::cipher, memory::KeyId::none, page);
  ASSERT_EQ(b.run(Command::snp_page_swap_in,
                  b.swap(Host::cipher, Host::memory_at, SwapType::data, false)),
            Status::success);
  EXPECT_EQ(b.page_bytes(Host::memory_at, key_of(Host::moving_asid)), some_text());
  EXPECT_EQ(b.state_of(Host::memory_at), PageState::pre_swap);
}

TEST(MigrationMessages, import_needs_a_root) {
  Host a(1);
  Host b(2);
  a.run_moving();
  const ExportResponse image = a.exported(ExportRequest::imi_en);
  ASSERT_EQ(image.status, 0u);
  EXPECT_NE(a.psp.guest(Host::moving), nullptr) << "an image leaves it running";
  b.create_context(Host::moving);
  EXPECT_EQ(b.answer(MessageType::import_request, Host::import_request(image.context)),
            number(Status::invalid_mdata_entry));
}

TEST(MigrationMessages, only_the_agent_exports) {
  Host a(1);
  a.run_moving();
  a.change_moving([](GuestContext& guest) { guest.report_id_ma.fill(0x11); });
  EXPECT_EQ(a.exported().status, number(Status::invalid_guest));
  EXPECT_NE(a.psp.guest(Host::moving), nullptr);
}

TEST(MigrationMessages, a_guest_without_agent_exports_itself) {
  Host a(1);
  const Key256 vmpck = a.guest().vmpck[0];
  const ExportResponse image = a.exported(ExportRequest::imi_en, Host::context);
  EXPECT_EQ(image.status, 0u);
  EXPECT_EQ(image.context.message_count[0], 0u);
  EXPECT_EQ(image.context.root_mdata.page, 0u);
  EXPECT_EQ(to_hex(image.context.vmpck[0]), to_hex(vmpck));
  const ExportResponse last = a.exported(0, Host::context);
  EXPECT_EQ(last.status, 0u) << "sealed with the key it had";
  EXPECT_EQ(a.psp.guest(Host::context), nullptr);
  EXPECT_EQ(a.state_of(Host::context), PageState::firmware);
}

TEST(MigrationMessages, absorb) {
  Host a(1);
  Host b(2);
  a.run_moving();
  ExportedContext from = a.exported(ExportRequest::imi_en).context;
  b.launch_moving(true);
  const Digest launched = b.moving_guest().launch_digest;
  const Key256 report_id = b.moving_guest().report_id;
  from.imi_digest.bytes[0] = static_cast<u8>(launched.bytes[0] ^ 1);
  EXPECT_EQ(b.answer(MessageType::absorb_request, Host::import_request(from)),
            number(Status::bad_measurement));
  from.imi_digest = launched;
  from.root_mdata.page = MdataEntry::valid;
  EXPECT_EQ(b.answer(MessageType::absorb_request, Host::import_request(from)),
            number(Status::invalid_mdata_entry));
  from.root_mdata.page = 0;
  ASSERT_EQ(b.answer(MessageType::absorb_request, Host::import_request(from)), 0u);
  const GuestContext& after = b.moving_guest();
  EXPECT_EQ(after.state, GuestState::running);
  EXPECT_FALSE(after.imi_en);
  EXPECT_EQ(after.report_id, report_id) << "its own";
  EXPECT_EQ(to_hex(after.vmpck[1]), to_hex(from.vmpck[1]));
  EXPECT_EQ(b.psp.state().asids.state(Host::moving_asid), AsidState::in_use);
}

TEST(MigrationMessages, absorb_needs_the_agent) {
  Host b(2);
  b.launch_moving(true);
  b.change_moving([](GuestContext& guest) { guest.report_id_ma.fill(0x11); });
  ExportedContext from{};
  from.imi_digest = b.moving_guest().launch_digest;
  EXPECT_EQ(b.answer(MessageType::absorb_request, Host::import_request(from)),
            number(Status::invalid_guest));
}

TEST(MigrationMessages, absorb_without_an_agent) {
  Host a(1);
  Host b(2);
  ExportedContext from = a.exported(ExportRequest::imi_en, Host::context).context;
  const Digest launched = b.guest().launch_digest;
  b.change_state([&](PspState& state) { state.guests.at(Host::context).imi_digest = launched; });
  const Key256 report_id = b.guest().report_id;
  from.imi_digest = launched;
  from.message_count[0] = 42;
  ImportRequest asked = Host::import_request(from);
  EXPECT_EQ(b.answer(MessageType::absorb_noma_request, asked), number(Status::invalid_param));
  asked.gctx_paddr = 0;
  ASSERT_EQ(b.answer(MessageType::absorb_noma_request, asked), 0u) << "sealed with the old VMPCK";
  EXPECT_EQ(to_hex(b.guest().vmpck[0]), to_hex(from.vmpck[0]));
  EXPECT_EQ(b.guest().message_count[0], 42u);
  EXPECT_EQ(b.guest().report_id, report_id);
}

}  // namespace
}  // namespace softsnp::psp
