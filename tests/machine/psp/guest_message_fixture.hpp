// A running guest that talks to the secure processor.
#pragma once

#include <numeric>
#include <optional>

#include "arch/psp/guest_message.hpp"
#include "machine/psp/aes_gcm.hpp"
#include "machine/psp/endorsement_key.hpp"
#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {

inline GuestMessageHeader request_header(MessageType type, usize payload_bytes, u64 sequence = 1,
                                         u8 vmpck = 0) {
  GuestMessageHeader header{};
  header.sequence_number = sequence;
  header.algorithm = header.header_version = 1;
  header.header_size = 0x60;
  header.message_type = number(type);
  header.message_version = 1;
  header.message_size = static_cast<u16>(payload_bytes);
  header.message_vmpck = vmpck;
  return header;
}

// Header and sealed payload, one after the other.
inline std::vector<u8> seal_message(GuestMessageHeader header, std::span<const u8> payload,
                                    const Key256& key) {
  std::vector<u8> sealed(payload.begin(), payload.end());
  std::array<u8, 12> iv{};
  store_le(iv.data(), header.sequence_number);
  const auto* bytes = reinterpret_cast<const u8*>(&header);
  const GcmTag tag = gcm_seal({key, iv, {bytes + 0x30, 0x30}}, sealed);
  std::copy(tag.begin(), tag.end(), header.auth_tag);
  sealed.insert(sealed.begin(), bytes, bytes + sizeof header);
  return sealed;
}

template <class T>
std::vector<u8> bytes_of(const T& value) {
  const auto* from = reinterpret_cast<const u8*>(&value);
  return {from, from + sizeof value};
}

class GuestMessageTest : public PspTest {
 protected:
  GuestMessageTest() = default;
  explicit GuestMessageTest(const PspConfig& config) : PspTest(config) {}

  static constexpr SystemPhysical request_at{0x4000};
  static constexpr SystemPhysical response_at{0x6000};

  // RUNNING, with one page measured and some host data.
  void start_guest(u64 finish_flags = 0, u64 policy = default_policy) {
    begin_launch(policy);
    make_pre_guest(page, 0x5000);
    ASSERT_EQ(launch_update(PageType::normal, page), Status::success);
    SnpLaunchFinish finish{};
    finish.gctx_paddr = context.value();
    finish.flags = finish_flags;
    std::iota(std::begin(finish.host_data), std::end(finish.host_data), u8{0xC0});
    ASSERT_EQ(run(Command::snp_launch_finish, finish), Status::success);
    make_firmware(response_at);
  }

  Status send_bytes(std::span<const u8> message, Psp& to) {
    dram.write(request_at, memory::KeyId::none, message);
    put(buffer, SnpGuestRequest{context.value(), request_at.value(), response_at.value()});
    return to.command(Command::snp_guest_request, buffer);
  }
  Status send_bytes(std::span<const u8> message) { return send_bytes(message, psp); }
  Status send(const GuestMessageHeader& header, std::span<const u8> payload) {
    return send_bytes(
        seal_message(header, payload, guest().vmpck[header.message_vmpck % vmpl_count]));
  }

  GuestMessageHeader response_header() { return get<GuestMessageHeader>(response_at); }
  // Nothing if the response's seal is broken.
  std::optional<std::vector<u8>> open_response(const Key256& key) {
    const GuestMessageHeader header = response_header();
    std::vector<u8> payload(header.message_size);
    dram.read(response_at + sizeof header, memory::KeyId::none, payload);
    std::array<u8, 12> iv{};
    store_le(iv.data(), header.sequence_number);
    const auto* bytes = reinterpret_cast<const u8*>(&header);
    if (!gcm_open({key, iv, {bytes + 0x30, 0x30}}, payload, load_le<GcmTag>(header.auth_tag))) {
      return std::nullopt;
    }
    return payload;
  }

  // A whole exchange as a well-behaved guest does it. to: a Psp with the state of psp.
  std::vector<u8> exchange_bytes(MessageType type, std::span<const u8> payload, u8 vmpck,
                                 u8 version, Psp& to) {
    const GuestContext& sender = *to.guest(context);
    const Key256 key = sender.vmpck[vmpck];
    GuestMessageHeader header =
        request_header(type, payload.size(), sender.message_count[vmpck] + 1, vmpck);
    header.message_version = version;
    EXPECT_EQ(send_bytes(seal_message(header, payload, key), to), Status::success)
        << recorder.commands.back().detail;
    EXPECT_EQ(response_header().message_type, number(type) + 1);
    EXPECT_EQ(response_header().sequence_number, header.sequence_number + 1);
    EXPECT_EQ(response_header().message_version, version);
    EXPECT_EQ(response_header().message_vmpck, vmpck);
    const auto opened = open_response(key);
    EXPECT_TRUE(opened.has_value());
    return opened.value_or(std::vector<u8>(max_message_bytes));
  }
  template <class Response, class Asked>
  Response exchange(MessageType type, const Asked& asked, u8 vmpck, u8 version, Psp& to) {
    const std::vector<u8> payload = exchange_bytes(type, bytes_of(asked), vmpck, version, to);
    EXPECT_EQ(payload.size(), sizeof(Response));
    return load_le<Response>(payload.data());
  }
  template <class Response, class Asked>
  Response exchange(MessageType type, const Asked& asked, u8 vmpck = 0) {
    return exchange<Response>(type, asked, vmpck, 1, psp);
  }

  static ReportRequest report_request(KeySelect select = KeySelect::vlek_else_vcek, u32 vmpl = 0) {
    ReportRequest asked{};
    std::iota(std::begin(asked.report_data), std::end(asked.report_data), u8{1});
    asked.vmpl = vmpl;
    asked.selection = static_cast<u32>(select);
    return asked;
  }
  ReportResponse report(KeySelect select = KeySelect::vlek_else_vcek) {
    return exchange<ReportResponse>(MessageType::report_request, report_request(select));
  }

  // What the maker of the certificate would derive.
  EndorsementKey vcek(const TcbComponents& tcb = default_tcb(Product::genoa)) {
    return derive_vcek(make_chip(psp.config()).secret, tcb, Product::genoa);
  }
  static VlekHashstick hashstick() {
    VlekHashstick stick;
    stick.fill(0x77);
    return stick;
  }
  Status load_vlek(const WrappedVlek& wrapped) {
    put(free_page, wrapped);
    return run(Command::snp_vlek_load, SnpVlekLoad{sizeof(SnpVlekLoad), 0, {}, free_page.value()});
  }
  WrappedVlek wrapped_vlek() {
    return wrap_vlek(vcek(), hashstick(), encode_tcb(Product::genoa, default_tcb(Product::genoa)),
                     {1, 2, 3});
  }
};

}  // namespace softsnp::psp
