// Keys derived for guests: what they depend on, and who gets none (firmware sheet 4.4).
#include <functional>

#include "machine/psp/kdf.hpp"
#include "tests/machine/psp/guest_message_fixture.hpp"

namespace softsnp::psp {
namespace {

using ContextChange = std::function<void(GuestContext&)>;

class KeyMessageTest : public GuestMessageTest {
 protected:
  static constexpr u64 all_fields = 0x3F;

  static KeyRequest key_request(u64 fields = 0, KeySelect select = KeySelect::vcek) {
    KeyRequest asked{};
    asked.selection = static_cast<u32>(select) << 1;
    asked.guest_field_select = fields;
    return asked;
  }
  static KeyRequest vmrk_request(u64 fields = 0) {
    KeyRequest asked = key_request(fields, KeySelect::vlek_else_vcek);
    asked.selection = KeyRequest::root_vmrk;
    return asked;
  }
  // The first version of the message ends before the mitigation vector.
  KeyResponse ask(const KeyRequest& asked, u8 vmpck = 0) {
    std::vector<u8> payload = bytes_of(asked);
    payload.resize(key_request_bytes_v1);
    const std::vector<u8> answer = exchange_bytes(MessageType::key_request, payload, vmpck, 1, psp);
    EXPECT_EQ(answer.size(), sizeof(KeyResponse));
    return load_le<KeyResponse>(answer.data());
  }
  std::string key(const KeyRequest& asked) {
    const KeyResponse response = ask(asked);
    EXPECT_EQ(response.status, 0u);
    EXPECT_EQ(to_hex(response.reserved_04), std::string(2 * 0x1C, '0'));
    return to_hex(response.derived_key);
  }
  u32 status(const KeyRequest& asked, u8 vmpck = 0) {
    const KeyResponse response = ask(asked, vmpck);
    EXPECT_EQ(to_hex(response.derived_key) == std::string(64, '0'), response.status != 0);
    return response.status;
  }
  void change_guest(const ContextChange& change) {
    change_state([&](PspState& state) { change(state.guests.at(context)); });
  }
  // key() of the guest as it would be after a change.
  std::string key_after(const KeyRequest& asked, const ContextChange& change) {
    const GuestContext before = guest();
    change_guest(change);
    std::string changed = key(asked);
    change_guest([&](GuestContext& now) {
      const auto counts = now.message_count;
      now = before;
      now.message_count = counts;
    });
    return changed;
  }
  void give_identity() {
    change_guest([](GuestContext& guest) {
      guest.id_block_en = true;
      guest.id_block.guest_svn = 9;
      std::fill_n(guest.id_key_digest.bytes, digest_bytes, u8{0x1D});
      std::fill_n(guest.author_key_digest.bytes, digest_bytes, u8{0xA0});
    });
  }
};

struct SelectableField {
  u64 bit;
  const char* name;
  ContextChange change;
};

const SelectableField guest_fields[] = {
    {key_field::policy, "POLICY", [](GuestContext& guest) { guest.policy ^= policy::debug; }},
    {key_field::image_id, "IMAGE_ID",
     [](GuestContext& guest) { guest.id_block.image_id[15] ^= 1; }},
    {key_field::family_id, "FAMILY_ID",
     [](GuestContext& guest) { guest.id_block.family_id[0] ^= 1; }},
    {key_field::measurement, "MEASUREMENT",
     [](GuestContext& guest) { guest.launch_digest.bytes[31] ^= 1; }},
};

TEST_F(KeyMessageTest, guest_fields_count_if_selected_and_only_then) {
  start_guest();
  for (const bool vmrk : {false, true}) {
    for (u64 select = 0; select < 16; ++select) {
      const KeyRequest asked = vmrk ? vmrk_request(select) : key_request(select);
      const std::string before = key(asked);
      EXPECT_EQ(key(asked), before) << "the same again";
      for (const SelectableField& field : guest_fields) {
        EXPECT_EQ(key_after(asked, field.change) != before, (select & field.bit) != 0)
            << field.name << ", selected " << select << ", VMRK " << vmrk;
      }
    }
  }
}

TEST_F(KeyMessageTest, fields_of_the_request_count_if_selected_and_only_then) {
  start_guest();
  give_identity();
  for (const bool vmrk : {false, true}) {
    KeyRequest asked = vmrk ? vmrk_request() : key_request();
    const std::string none = key(asked);
    asked.guest_svn = 7;
    asked.tcb_version.bytes[7] = 1;
    EXPECT_EQ(key(asked), none) << "not selected";
    asked.guest_field_select = key_field::guest_svn;
    const std::string svn_7 = key(asked);
    asked.tcb_version.bytes[7] = 2;
    EXPECT_EQ(key(asked), svn_7) << "TCB not selected";
    asked.guest_svn = 8;
    EXPECT_NE(key(asked), svn_7);
    asked.guest_field_select = key_field::tcb_version;
    const std::string tcb_2 = key(asked);
    asked.guest_svn = 1;
    EXPECT_EQ(key(asked), tcb_2) << "SVN not selected";
    asked.tcb_version.bytes[7] = 3;
    EXPECT_NE(key(asked), tcb_2);
  }
}

TEST_F(KeyMessageTest, always_mixed_in) {
  start_guest();
  give_identity();
  for (const u64 select : {u64{0}, all_fields}) {
    for (const bool vmrk : {false, true}) {
      KeyRequest asked = vmrk ? vmrk_request(select) : key_request(select);
      const std::string before = key(asked);
      EXPECT_NE(key_after(asked, [](GuestContext& guest) { guest.host_data[31] ^= 1; }), before);
      EXPECT_NE(key_after(asked, [](GuestContext& guest) { guest.id_key_digest.bytes[0] ^= 1; }),
                before);
      const auto with_author = [](GuestContext& guest) { guest.author_key_en = true; };
      const std::string author = key_after(asked, with_author);
      EXPECT_NE(author, before);
      EXPECT_EQ(key_after(asked,
                          [&](GuestContext& guest) {
                            with_author(guest);
                            guest.id_key_digest.bytes[0] ^= 1;
                          }),
                author)
          << "the author key stands for the ID key";
      EXPECT_NE(key_after(asked, [](GuestContext& guest) { guest.id_block_en = false; }), before);
      asked.vmpl = 3;
      EXPECT_NE(key(asked), before);
    }
  }
}

TEST_F(KeyMessageTest, field_select_itself_counts) {
  start_guest();
  std::map<std::string, u64> keys;
  for (u64 select = 0; select <= all_fields; ++select) {
    EXPECT_TRUE(keys.emplace(key(key_request(select)), select).second) << select;
    EXPECT_TRUE(keys.emplace(key(vmrk_request(select)), select).second) << select;
  }
}

TEST_F(KeyMessageTest, what_never_counts) {
  start_guest();
  const KeyRequest asked = key_request(all_fields);
  const std::string before = key(asked);
  EXPECT_EQ(key_after(asked,
                      [](GuestContext& guest) {
                        guest.report_id[0] ^= 1;
                        guest.oek[0] ^= 1;
                        guest.vmrk[0] ^= 1;
                        guest.launch_tcb.bytes[7] ^= 1;
                        guest.gosvw[0] ^= 1;
                      }),
            before);
  EXPECT_NE(key_after(vmrk_request(), [](GuestContext& guest) { guest.vmrk[0] ^= 1; }),
            key(vmrk_request()));
}

// The derivation as the sheet has it, put together a second time.
TEST_F(KeyMessageTest, known_derivation) {
  start_guest();
  give_identity();
  KeyRequest asked = key_request(key_field::policy | key_field::measurement);
  asked.vmpl = 1;
  std::vector<u8> mixed(0xA8);
  mixed[0x00] = 2;  // an ID key
  mixed[0x08] = 0x09;
  mixed[0x10] = 1;
  store_le(&mixed[0x20], guest().policy);
  std::copy_n(guest().launch_digest.bytes, 0x20, &mixed[0x48]);
  std::copy_n(guest().host_data.begin(), 0x20, &mixed[0x68]);
  std::fill_n(&mixed[0x88], 0x20, u8{0x1D});
  std::array<u8, 0x20> expected;
  derive_key(vcek().seed.bytes, "gmsg-keyreq", mixed, expected);
  EXPECT_EQ(key(asked), to_hex(expected));
  asked.selection = KeyRequest::root_vmrk;
  mixed[0x00] = 3;
  derive_key(guest().vmrk, "gmsg-keyreq", mixed, expected);
  EXPECT_EQ(key(asked), to_hex(expected));
}

TEST_F(KeyMessageTest, a_selected_tcb_rolls_the_root_back) {
  start_guest();
  TcbComponents old = default_tcb(Product::genoa);
  old.snp = 3;
  KeyRequest asked = key_request(key_field::tcb_version);
  asked.tcb_version = encode_tcb(Product::genoa, old);
  const std::string key_of_old = key(asked);
  // Committed and reported move on; the old TCB's key is still to be had.
  change_state([](PspState& state) { ++state.committed_tcb.microcode; });
  ASSERT_EQ(run(Command::snp_config, SnpConfig{}), Status::success);
  EXPECT_EQ(key(asked), key_of_old);
  // The reported one moves back to it; then no rolling is needed.
  SnpConfig config{};
  config.reported_tcb = asked.tcb_version;
  ASSERT_EQ(run(Command::snp_config, config), Status::success);
  EXPECT_EQ(key(asked), key_of_old);
}

TEST_F(KeyMessageTest, without_a_selected_tcb_the_root_is_that_of_the_reported_one) {
  start_guest();
  const std::string before = key(key_request());
  const std::string vmrk_before = key(vmrk_request());
  SnpConfig config{};
  TcbComponents lower = default_tcb(Product::genoa);
  --lower.snp;
  config.reported_tcb = encode_tcb(Product::genoa, lower);
  ASSERT_EQ(run(Command::snp_config, config), Status::success);
  EXPECT_NE(key(key_request()), before);
  EXPECT_EQ(key(vmrk_request()), vmrk_before);
}

TEST_F(KeyMessageTest, refused_in_order) {
  start_guest();
  give_identity();
  KeyRequest asked = key_request(all_fields | bit(6), KeySelect::reserved);
  asked.selection |= 8;
  asked.vmpl = 1;
  asked.tcb_version.bytes[0] = 0xFF;
  asked.guest_svn = 10;
  EXPECT_EQ(status(asked, 2), 0x16u) << "MBZ";
  asked.selection &= ~8u;
  asked.mbz_04 = 1;
  EXPECT_EQ(status(asked, 2), 0x16u) << "MBZ";
  asked.mbz_04 = 0;
  EXPECT_EQ(status(asked, 2), 0x27u) << "KEY_SEL";
  asked.selection = 2;
  EXPECT_EQ(status(asked, 2), 0x16u) << "VMPL";
  asked.vmpl = 2;
  EXPECT_EQ(status(asked, 2), 0x16u) << "a field of message version 2";
  asked.guest_field_select = all_fields;
  EXPECT_EQ(status(asked, 2), 0x16u) << "TCB";
  asked.tcb_version.bytes[0] = 0x0A;
  EXPECT_EQ(status(asked, 2), 0x16u) << "SVN";
  asked.guest_svn = 9;
  EXPECT_EQ(status(asked, 2), 0u);
}

TEST_F(KeyMessageTest, tcb_above_committed_or_reserved) {
  start_guest();
  const TcbVersion committed = encode_tcb(Product::genoa, default_tcb(Product::genoa));
  KeyRequest asked = key_request(key_field::tcb_version);
  asked.tcb_version = committed;
  EXPECT_EQ(status(asked), 0u);
  for (unsigned byte = 0; byte < 8; ++byte) {
    asked.tcb_version = committed;
    ++asked.tcb_version.bytes[byte];
    EXPECT_EQ(status(asked), 0x16u) << byte;
  }
  asked.tcb_version = {};
  EXPECT_EQ(status(asked), 0u) << "the oldest";
}

TEST_F(KeyMessageTest, unknown_fields) {
  start_guest();
  for (unsigned n = 6; n < 64; ++n) {
    EXPECT_EQ(status(key_request(bit(n))), 0x16u) << n;
  }
}

TEST_F(KeyMessageTest, roots) {
  start_guest();
  const std::string vcek_key = key(key_request());
  EXPECT_EQ(key(key_request(0, KeySelect::vlek_else_vcek)), vcek_key);
  EXPECT_EQ(status(key_request(0, KeySelect::vlek)), 0x27u);
  ASSERT_EQ(load_vlek(wrapped_vlek()), Status::success);
  const std::string vlek_key = key(key_request(0, KeySelect::vlek));
  EXPECT_NE(vlek_key, vcek_key);
  EXPECT_EQ(key(key_request(0, KeySelect::vlek_else_vcek)), vlek_key);
  EXPECT_EQ(key(key_request(0, KeySelect::vcek)), vcek_key);
  SnpConfig config{};
  config.flags = SnpConfig::mask_chip_key;
  ASSERT_EQ(run(Command::snp_config, config), Status::success);
  EXPECT_EQ(status(key_request(0, KeySelect::vcek)), 0x27u);
  EXPECT_EQ(status(key_request(0, KeySelect::vlek)), 0x27u);
  EXPECT_EQ(status(vmrk_request()), 0u) << "no chip's key";
}

TEST_F(KeyMessageTest, disabled_vcek) {
  start_guest(SnpLaunchFinish::vcek_dis);
  EXPECT_EQ(status(key_request(0, KeySelect::vcek)), 0x27u);
  EXPECT_EQ(status(key_request(0, KeySelect::vlek_else_vcek)), 0x27u);
  EXPECT_EQ(status(vmrk_request()), 0u);
  ASSERT_EQ(load_vlek(wrapped_vlek()), Status::success);
  EXPECT_EQ(status(key_request(0, KeySelect::vcek)), 0x27u);
  EXPECT_EQ(status(key_request(0, KeySelect::vlek_else_vcek)), 0u);
}

TEST_F(KeyMessageTest, version_2_knows_the_mitigation_vector) {
  start_guest();
  change_guest([](GuestContext& guest) { guest.launch_mitigation_vector = 0x6; });
  const std::string older = key(key_request(1));
  Psp newer({.seed = 1, .report_version = ReportVersion::v5}, dram, rmp, platform);
  newer.restore(psp.state());
  const auto ask_newer = [&](u64 fields, u64 vector, u8 version) {
    KeyRequest asked = key_request(fields);
    asked.launch_mitigation_vector = vector;
    std::vector<u8> payload = bytes_of(asked);
    payload.resize(0x30);
    return load_le<KeyResponse>(
        exchange_bytes(MessageType::key_request, payload, 0, version, newer).data());
  };
  const auto newer_key = [&](u64 fields, u64 vector) {
    const KeyResponse response = ask_newer(fields, vector, 2);
    EXPECT_EQ(response.status, 0u);
    return to_hex(response.derived_key);
  };
  EXPECT_EQ(newer_key(1, 0), older);
  EXPECT_EQ(newer_key(1, 0x2), older) << "not selected";
  const std::string selected = newer_key(0x41, 0x2);
  EXPECT_NE(selected, older);
  EXPECT_NE(newer_key(0x41, 0x4), selected);
  EXPECT_EQ(ask_newer(0x41, 0x8, 2).status, 0x16u) << "not one of the launch";
  EXPECT_EQ(ask_newer(0x41, 0x2, 1).status, 0x16u) << "version 1 does not know it";
}

}  // namespace
}  // namespace softsnp::psp
