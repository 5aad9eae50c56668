// SNP_GUEST_REQUEST: the order of processing, sequence numbers, forged messages, and the messages
// without keys (firmware sheet 4.1, 4.2, 4.3).
#include "arch/psp/secrets_page.hpp"
#include "machine/psp/vmsa_protection.hpp"
#include "tests/machine/psp/guest_message_fixture.hpp"

namespace softsnp::psp {
namespace {

using GuestRequestTest = GuestMessageTest;

const std::vector<u8> tsc_payload(sizeof(TscInfoRequest));

TEST_F(GuestRequestTest, an_exchange) {
  start_guest();
  ASSERT_EQ(send(request_header(MessageType::tsc_info_request, 0x80), tsc_payload),
            Status::success);
  const GuestMessageHeader header = response_header();
  EXPECT_EQ(header.sequence_number, 2u);
  EXPECT_EQ(header.reserved_28, 0u);
  EXPECT_EQ(header.algorithm, 1);
  EXPECT_EQ(header.header_version, 1);
  EXPECT_EQ(header.header_size, 0x60);
  EXPECT_EQ(header.message_type, 0x12);
  EXPECT_EQ(header.message_version, 1);
  EXPECT_EQ(header.message_size, 0x80);
  EXPECT_EQ(header.message_vmpck, 0);
  EXPECT_EQ(to_hex({header.auth_tag + 16, 16}), std::string(32, '0'));
  EXPECT_TRUE(open_response(guest().vmpck[0]).has_value());
  EXPECT_FALSE(open_response(guest().vmpck[1]).has_value());
  EXPECT_EQ(recorder.commands.back().name, std::string_view("SNP_GUEST_REQUEST"));
}

TEST_F(GuestRequestTest, tsc_info) {
  start_guest();
  const auto response =
      exchange<TscInfoResponse>(MessageType::tsc_info_request, TscInfoRequest{}, 3);
  EXPECT_EQ(response.status, 0u);
  EXPECT_EQ(response.guest_tsc_scale, tsc_scale(2000000, 99800));
  EXPECT_EQ(response.guest_tsc_offset, 0u);
  EXPECT_EQ(response.tsc_factor, genoa_tsc_factor);
  for (const usize byte : {0u, 0x40u, 0x7Fu}) {
    TscInfoRequest asked{};
    asked.mbz[byte] = 1;
    const auto refused = exchange<TscInfoResponse>(MessageType::tsc_info_request, asked);
    EXPECT_EQ(refused.status, 0x16u);
    EXPECT_EQ(refused.guest_tsc_scale, 0u);
  }
}

TEST_F(GuestRequestTest, sequence_numbers_run_for_each_key) {
  start_guest();
  for (u8 vmpck = 0; vmpck < vmpl_count; ++vmpck) {
    for (const u64 sequence : {1u, 3u, 5u}) {
      const auto header = request_header(MessageType::tsc_info_request, 0x80, sequence, vmpck);
      ASSERT_EQ(send(header, tsc_payload), Status::success);
      EXPECT_EQ(response_header().sequence_number, sequence + 1);
      EXPECT_EQ(guest().message_count[vmpck], sequence + 1);
      EXPECT_EQ(send(header, tsc_payload), Status::aead_oflow) << "a replay";
    }
  }
}

TEST_F(GuestRequestTest, messages_out_of_sequence) {
  start_guest();
  for (const u64 sequence : {u64{0}, u64{2}, u64{3}, ~u64{0}, ~u64{1}}) {
    EXPECT_EQ(send(request_header(MessageType::tsc_info_request, 0x80, sequence), tsc_payload),
              Status::aead_oflow);
    EXPECT_EQ(guest().message_count[0], 0u);
  }
  EXPECT_EQ(send(request_header(MessageType::tsc_info_request, 0x80, 1), tsc_payload),
            Status::success);
}

TEST_F(GuestRequestTest, sequence_numbers_end) {
  start_guest();
  const u64 last = 0xFFFFFFFFFFFFFFFE;
  change_state([&](PspState& state) { state.guests.at(context).message_count[0] = last - 2; });
  ASSERT_EQ(send(request_header(MessageType::tsc_info_request, 0x80, last - 1), tsc_payload),
            Status::success);
  EXPECT_EQ(response_header().sequence_number, last);
  EXPECT_EQ(send(request_header(MessageType::tsc_info_request, 0x80, last + 1), tsc_payload),
            Status::aead_oflow);
  EXPECT_EQ(guest().message_count[0], last);
  EXPECT_EQ(send(request_header(MessageType::tsc_info_request, 0x80, 1, 1), tsc_payload),
            Status::success)
      << "the other keys have their own";
}

TEST_F(GuestRequestTest, any_altered_byte_is_refused) {
  start_guest();
  const std::vector<u8> good = seal_message(request_header(MessageType::tsc_info_request, 0x80),
                                            tsc_payload, guest().vmpck[0]);
  for (usize byte = 0; byte < good.size(); ++byte) {
    if ((byte >= 0x10 && byte < 0x20) || (byte >= 0x28 && byte < 0x30)) {
      continue;  // neither sealed nor looked at
    }
    std::vector<u8> altered = good;
    altered[byte] ^= 0x10;
    const Status status = send_bytes(altered);
    // Of the header, what must be known before the seal can be broken is checked before.
    const bool known_before = (byte >= 0x30 && byte < 0x34) || byte == 0x3C;
    EXPECT_EQ(status,
              known_before || byte == 0x37 ? Status::invalid_param : Status::bad_measurement)
        << byte;
  }
  EXPECT_EQ(guest().message_count[0], 0u);
  EXPECT_EQ(send_bytes(good), Status::success);
}

TEST_F(GuestRequestTest, a_message_under_another_key_is_refused) {
  start_guest();
  const auto header = request_header(MessageType::tsc_info_request, 0x80, 1, 2);
  for (const u8 vmpck : {u8{0}, u8{1}, u8{3}}) {
    EXPECT_EQ(send_bytes(seal_message(header, tsc_payload, guest().vmpck[vmpck])),
              Status::bad_measurement);
  }
  EXPECT_EQ(send_bytes(seal_message(header, tsc_payload, guest().vmpck[2])), Status::success);
}

// Faults in the order in which they must be found.
enum Fault : unsigned {
  reserved_field,
  platform_uninit,
  no_context,
  response_state,
  request_size,
  not_running,
  header_version,
  payload_size,
  vmpck,
  broken_tag,
  out_of_sequence,
  message_type,
  no_room,
  fault_count
};
constexpr Status found[] = {Status::invalid_param,     Status::invalid_platform_state,
                            Status::invalid_guest,     Status::invalid_page_state,
                            Status::invalid_page_size, Status::invalid_guest_state,
                            Status::invalid_param,     Status::invalid_param,
                            Status::invalid_param,     Status::bad_measurement,
                            Status::aead_oflow,        Status::invalid_param,
                            Status::invalid_param};

TEST_F(GuestRequestTest, reports_the_first_of_any_faults) {
  start_guest();
  make_firmware(other, PageSize::size_2m);
  const PspState good_state = psp.state();
  const snp::RmpEntry good_response = rmp.entry(response_at);
  std::map<std::string_view, unsigned> details;
  for (unsigned faults = 0; faults < 1u << fault_count; ++faults) {
    const auto has = [faults](Fault fault) { return (faults >> fault & 1) != 0; };
    psp.restore(good_state);
    GuestMessageHeader header = request_header(MessageType::tsc_info_request, 0x80);
    header.header_version = has(header_version) ? 2 : 1;
    header.message_size = has(payload_size) ? 0x81 : 0x80;
    header.message_vmpck = has(vmpck) ? 4 : 0;
    header.sequence_number = has(out_of_sequence) ? 3 : 1;
    header.message_type = has(message_type) ? 0x13 : 0x11;
    std::vector<u8> message = seal_message(header, tsc_payload, guest().vmpck[0]);
    message[0] ^= has(broken_tag) ? 1 : 0;
    const SystemPhysical from = has(request_size) ? other : request_at;
    dram.write(from, memory::KeyId::none, message);
    const snp::RmpEntry response = has(response_state) ? snp::RmpEntry{} : good_response;
    change_entry(response_at, [&](snp::RmpEntry& entry) { entry = response; });
    change_state([&](PspState& state) {
      state.platform = has(platform_uninit) ? PlatformState::uninit : PlatformState::init;
      state.guests.at(context).state = has(not_running) ? GuestState::launch : GuestState::running;
    });
    const SnpGuestRequest command{
        (has(no_context) ? free_page : context).value() + (has(reserved_field) ? 8 : 0),
        from.value(), response_at.value() + (has(no_room) ? 0xF30 : 0)};
    const unsigned first = static_cast<unsigned>(__builtin_ctz(faults | 1u << fault_count));
    const auto before = page_bytes(response_at);
    ASSERT_EQ(run(Command::snp_guest_request, command),
              faults == 0 ? Status::success : found[first])
        << "faults " << std::hex << faults << ": " << recorder.commands.back().detail;
    if (faults != 0) {
      ASSERT_EQ(psp.guest(context)->message_count, good_state.guests.at(context).message_count);
      ASSERT_EQ(page_bytes(response_at), before);
      // One detail a fault, so that equal statuses are told apart.
      const auto known = details.emplace(recorder.commands.back().detail, first);
      ASSERT_EQ(known.first->second, first) << recorder.commands.back().detail;
    }
  }
  EXPECT_EQ(details.size(), unsigned{fault_count});
}

TEST_F(GuestRequestTest, response_page) {
  start_guest();
  make_firmware(other, PageSize::size_2m);
  const auto to = [this](SystemPhysical from, SystemPhysical response) {
    dram.write(request_at, memory::KeyId::none,
               seal_message(request_header(MessageType::tsc_info_request, 0x80), tsc_payload,
                            guest().vmpck[0]));
    return run(Command::snp_guest_request,
               SnpGuestRequest{context.value(), from.value(), response.value()});
  };
  EXPECT_EQ(to(request_at, free_page), Status::invalid_page_state);
  EXPECT_EQ(to(request_at, context), Status::invalid_page_state);
  EXPECT_EQ(to(request_at, other), Status::invalid_page_size);
  EXPECT_EQ(to(request_at, rmp_base), Status::invalid_param);
  EXPECT_EQ(to(rmp_base, response_at), Status::invalid_param);
  EXPECT_EQ(to(SystemPhysical(u64{1} << 40), response_at), Status::invalid_address);
  EXPECT_EQ(to(request_at, outside), Status::invalid_page_state) << "DEFAULT is not FIRMWARE";
  EXPECT_EQ(to(request_at, response_at), Status::success);
}

TEST_F(GuestRequestTest, messages_may_start_anywhere_in_their_page) {
  start_guest();
  const std::vector<u8> message = seal_message(request_header(MessageType::tsc_info_request, 0x80),
                                               tsc_payload, guest().vmpck[0]);
  const auto at = [&](u64 from, u64 to) {
    dram.write(request_at + from, memory::KeyId::none, message);
    return run(
        Command::snp_guest_request,
        SnpGuestRequest{context.value(), (request_at + from).value(), (response_at + to).value()});
  };
  EXPECT_EQ(at(0xFA1, 0), Status::invalid_param) << "the header crosses";
  EXPECT_EQ(at(0xF21, 0), Status::invalid_param) << "the payload crosses";
  EXPECT_EQ(at(0xF20, 0xF21), Status::invalid_param) << "the response crosses";
  EXPECT_EQ(guest().message_count[0], 0u);
  EXPECT_EQ(at(0xF20, 0xF20), Status::success);
  EXPECT_EQ(get<GuestMessageHeader>(response_at + 0xF20).message_type, 0x12);
}

TEST_F(GuestRequestTest, header_fields) {
  start_guest();
  const auto refused = [this](auto change) {
    GuestMessageHeader header = request_header(MessageType::tsc_info_request, 0x80);
    change(header);
    EXPECT_EQ(send(header, tsc_payload), Status::invalid_param);
    EXPECT_EQ(guest().message_count[0], 0u);
  };
  refused([](GuestMessageHeader& header) { header.algorithm = 0; });
  refused([](GuestMessageHeader& header) { header.algorithm = 2; });
  refused([](GuestMessageHeader& header) { header.header_version = 0; });
  refused([](GuestMessageHeader& header) { header.header_size = 0x5F; });
  refused([](GuestMessageHeader& header) { header.message_size = 0; });
  refused([](GuestMessageHeader& header) { header.message_size = 0x88; });
  refused([](GuestMessageHeader& header) { header.message_size = 0xFB0; });
  refused([](GuestMessageHeader& header) { header.message_size = 0xFFF0; });
  refused([](GuestMessageHeader& header) { header.message_vmpck = 0xFF; });
  refused([](GuestMessageHeader& header) { header.message_version = 0; });
  refused([](GuestMessageHeader& header) { header.message_version = 2; });
  for (const int wrong : {0x00, 0x02, 0x06, 0x12, 0x13, 0xFF}) {
    refused([wrong](GuestMessageHeader& header) { header.message_type = static_cast<u8>(wrong); });
  }
}

TEST_F(GuestRequestTest, short_messages_go_on_with_zeros) {
  start_guest();
  const std::vector<u8> payload =
      exchange_bytes(MessageType::tsc_info_request, std::vector<u8>(16), 0, 1, psp);
  EXPECT_EQ(payload.size(), sizeof(TscInfoResponse));
  EXPECT_EQ(load_le<u32>(payload.data()), 0u);
}

struct CpuidMessage {
  CpuidRequest header{};
  CpuidEntry entries[64]{};
};

TEST_F(GuestRequestTest, cpuid_within_policy) {
  start_guest();
  CpuidMessage asked;
  asked.header.count = 2;
  asked.entries[0] = {0x80000008, 0, 0, 0, 0x3034, 0, 0, 0, 0};
  asked.entries[1] = {0x40000000, 0, 0, 0, 1, 2, 3, 4, 0};
  const auto answer = exchange<CpuidMessage>(MessageType::cpuid_request, asked);
  EXPECT_EQ(answer.header.count, 0u) << "STATUS";
  EXPECT_EQ(answer.header.mbz_04, 2u) << "COUNT";
  EXPECT_EQ(answer.entries[0], asked.entries[0]);
  EXPECT_EQ(answer.entries[1], asked.entries[1]);
}

TEST_F(GuestRequestTest, cpuid_outside_of_policy_is_corrected) {
  start_guest();
  CpuidMessage asked;
  asked.header.count = 64;
  asked.entries[0] = {0, 0, 0, 0, 0x20, 0, 0, 0, 0};
  asked.entries[63] = {0x7777, 0, 0, 0, 1, 2, 3, 4, 0};
  const auto answer = exchange<CpuidMessage>(MessageType::cpuid_request, asked);
  EXPECT_EQ(answer.header.count, 0x16u) << "STATUS";
  EXPECT_EQ(answer.header.mbz_04, 64u) << "COUNT";
  EXPECT_EQ(answer.entries[0].eax, 0x10u);
  EXPECT_EQ(answer.entries[63], (CpuidEntry{0x7777, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(GuestRequestTest, malformed_cpuid_lists) {
  start_guest();
  const auto status = [this](u32 count, u32 mbz_04, u64 mbz_08) {
    CpuidMessage asked;
    asked.header = {count, mbz_04, mbz_08};
    return exchange<CpuidMessage>(MessageType::cpuid_request, asked).header.count;
  };
  EXPECT_EQ(status(65, 0, 0), 0x16u);
  EXPECT_EQ(status(0xFFFFFFFF, 0, 0), 0x16u);
  EXPECT_EQ(status(0, 1, 0), 0x16u);
  EXPECT_EQ(status(0, 0, bit(63)), 0x16u);
  EXPECT_EQ(status(0, 0, 0), 0u);
}

TEST_F(GuestRequestTest, migration_messages_without_an_agent) {
  start_guest();
  const auto exported = [this](SystemPhysical of, u64 flags, u8 vmpck) {
    const auto response = exchange<ExportResponse>(MessageType::export_request,
                                                   ExportRequest{of.value(), flags}, vmpck);
    EXPECT_EQ(to_hex(bytes_of(response.context)), std::string(0x600, '0'));
    return response.status;
  };
  EXPECT_EQ(exported(context, 2, 0), number(Status::invalid_param));
  EXPECT_EQ(exported(free_page, 0, 0), number(Status::invalid_guest));
  EXPECT_EQ(exported(context, 0, 1), number(Status::invalid_guest)) << "itself, but not VMPCK0";
  create_context(other);
  EXPECT_EQ(exported(other, 1, 0), number(Status::invalid_guest)) << "not RUNNING";
  const auto status = [this](MessageType type, const auto& asked, u8 vmpck = 0) {
    return exchange<StatusResponse>(type, asked, vmpck).status;
  };
  ImportRequest import{};
  import.gctx_paddr = context.value();
  EXPECT_EQ(status(MessageType::import_request, import), number(Status::invalid_guest_state));
  EXPECT_EQ(status(MessageType::absorb_request, import), number(Status::invalid_guest_state));
  EXPECT_EQ(status(MessageType::absorb_noma_request, import), number(Status::invalid_param));
  import.gctx_paddr = other.value();
  EXPECT_EQ(status(MessageType::import_request, import), number(Status::invalid_param)) << "size";
  import.size = sizeof import.context;
  import.version = 3;
  EXPECT_EQ(status(MessageType::import_request, import), number(Status::invalid_mdata_entry));
  import.gctx_paddr = 0;
  EXPECT_EQ(status(MessageType::import_request, import), number(Status::invalid_guest));
  EXPECT_EQ(status(MessageType::absorb_noma_request, import), number(Status::bad_measurement));
  VmrkRequest vmrk{};
  vmrk.gctx_paddr = context.value();
  EXPECT_EQ(status(MessageType::vmrk_request, vmrk), number(Status::invalid_guest_state));
}

TEST_F(GuestRequestTest, only_an_agent_gives_a_vmrk) {
  start_guest();
  create_context(other);
  auto start = start_command(other, default_policy);
  ASSERT_EQ(run(Command::snp_launch_start, start), Status::success);
  VmrkRequest vmrk{};
  vmrk.gctx_paddr = other.value();
  std::fill_n(vmrk.vmrk, sizeof vmrk.vmrk, u8{0x44});
  const auto status = [&](u8 vmpck = 0) {
    return exchange<StatusResponse>(MessageType::vmrk_request, vmrk, vmpck).status;
  };
  EXPECT_EQ(status(), number(Status::invalid_guest)) << "no agent of this guest";
  const SystemPhysical third(0x800000);
  create_context(third);
  start = start_command(third, default_policy | policy::migrate_ma);
  start.flags = SnpLaunchStart::ma_en;
  start.ma_gctx_paddr = context.value();
  ASSERT_EQ(run(Command::snp_launch_start, start), Status::success);
  vmrk.gctx_paddr = third.value();
  const Key256 before = psp.guest(third)->vmrk;
  EXPECT_EQ(status(1), number(Status::invalid_param)) << "VMPCK0 only";
  vmrk.mbz_08[3] = 1;
  EXPECT_EQ(status(), number(Status::invalid_param));
  vmrk.mbz_08[3] = 0;
  EXPECT_EQ(psp.guest(third)->vmrk, before);
  EXPECT_EQ(status(), 0u);
  EXPECT_EQ(to_hex(psp.guest(third)->vmrk), to_hex(vmrk.vmrk));
}

}  // namespace
}  // namespace softsnp::psp
