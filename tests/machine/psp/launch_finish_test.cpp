// SNP_LAUNCH_FINISH and the ID block (firmware sheet 1.6, 5.4).
#include "machine/psp/id_block.hpp"
#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

void put_le(u8* to, std::string_view big_endian) {
  const std::vector<u8> bytes = from_hex(big_endian);
  std::reverse_copy(bytes.begin(), bytes.end(), to);
}

IdBlock known_block() {
  IdBlock block{};
  block.launch_digest = digest_from_hex(
      "a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263dc605"
      "9745");
  block.version = 1;
  block.policy = 0x30000;
  return block;
}

IdAuth known_auth() {
  IdAuth auth{};
  auth.id_key_algorithm = auth.author_key_algorithm = 1;
  auth.id_key.curve = auth.author_key.curve = 2;
  put_le(
      auth.id_key.qx,
      "f6763e4d2609cf1b2cf22f2cc8b8ca4cf55d470c3c23552c93b168874390dd95cb3fdee847ddf79ff29efbb8803"
      "c6d1f");
  put_le(
      auth.id_key.qy,
      "ccd7a8d047b9cdc1c750b1190abe6d1dad37a8decb14327b766619f712607cfd0d38853c50da9bcd080b35389c9"
      "3be3e");
  put_le(
      auth.author_key.qx,
      "6270c78bd6904cd1336299a25b98736a71ce92fef07494d72cb28b073c830f9f564af7a5c1c6ffc5a34973d5da4"
      "5868c");
  put_le(
      auth.author_key.qy,
      "863c7930a2c98448a77a10088102e2a95f9308cd3e56b559b7fd3acc88b3cc2a19774348fea2f2c9031191e0718"
      "7acf5");
  put_le(
      auth.id_key_signature.r,
      "99ea62b40e1fa31a776676b94ca371a7ca0e02dd18dc34116529d4ec543d0c8199edf7c35548ff8986567f55947"
      "b88bb");
  put_le(
      auth.id_key_signature.s,
      "33916fafbfa2719334e0a3fe7d1b0104b1704ffbb98898e98cd1642f25ee0fbb7da719a2485f42352a1ba75db9e"
      "861f2");
  put_le(
      auth.id_block_signature.r,
      "da38b7016f7b3a6147c0c81b6b8c5cef057dff71ae5e13f018f3049fc6c3a90959e0ca6a7c8f4ebd61e0f99b7db"
      "fd3e5");
  put_le(
      auth.id_block_signature.s,
      "d8a597d14427643bc36ae16df221e91a2b33ef8b54e56429e961aaa6af5e1f3cdd032b037c266dec8183de67ca4"
      "d19d4");
  return auth;
}

class LaunchFinishTest : public PspTest {
 protected:
  static constexpr SystemPhysical block_at{0x8100}, auth_at{0xA000};

  // A guest in LAUNCH whose digest is the known block's.
  void begin() {
    begin_launch();
    change_state([](PspState& state) {
      state.guests.at(context).launch_digest = known_block().launch_digest;
    });
  }
  Status finish_with(const IdBlock& block, const IdAuth& auth, u64 flags) {
    put(block_at, block);
    put(auth_at, auth);
    SnpLaunchFinish finish{};
    finish.gctx_paddr = context.value();
    finish.id_block_paddr = block_at.value();
    finish.id_auth_paddr = auth_at.value();
    finish.flags = flags;
    return run(Command::snp_launch_finish, finish);
  }
  static constexpr u64 block_only = SnpLaunchFinish::id_block_en;
  static constexpr u64 with_author = block_only | SnpLaunchFinish::auth_key_en;
};

TEST_F(LaunchFinishTest, known_id_block_with_author_key) {
  begin();
  ASSERT_EQ(finish_with(known_block(), known_auth(), with_author), Status::success);
  EXPECT_EQ(guest().state, GuestState::running);
  EXPECT_EQ(
      guest().id_key_digest,
      digest_from_hex("59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdc"
                      "bae5fe27677a644820773fe2"));
  EXPECT_EQ(
      guest().author_key_digest,
      digest_from_hex("eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c272369b7f"
                      "fc3eb2b6af6a4284a1b36c5f"));
  EXPECT_TRUE(guest().id_block_en);
  EXPECT_TRUE(guest().author_key_en);
}

TEST_F(LaunchFinishTest, without_author_key_its_fields_do_not_matter) {
  begin();
  IdAuth auth = known_auth();
  auth.author_key_algorithm = 9;
  auth.id_key_signature = {};
  ASSERT_EQ(finish_with(known_block(), auth, block_only), Status::success);
  EXPECT_FALSE(guest().author_key_en);
  EXPECT_EQ(guest().author_key_digest, Digest{});
}

TEST_F(LaunchFinishTest, faults_are_reported_in_order) {
  begin();
  IdBlock block = known_block();
  IdAuth auth = known_auth();
  // From the last check to the first, each added to those before.
  auth.id_key_signature.r[0] = static_cast<u8>(auth.id_key_signature.r[0] ^ 1);
  EXPECT_EQ(finish_with(block, auth, with_author), Status::bad_signature);
  EXPECT_STREQ(recorder.commands.back().detail, "the ID key's signature does not verify");
  auth.id_block_signature.s[47] = static_cast<u8>(auth.id_block_signature.s[47] ^ 0x40);
  EXPECT_EQ(finish_with(block, auth, with_author), Status::bad_signature);
  EXPECT_STREQ(recorder.commands.back().detail, "the ID block's signature does not verify");
  auth.author_key_algorithm = 0;
  EXPECT_EQ(finish_with(block, auth, with_author), Status::invalid_param);
  block.policy ^= policy::debug;
  EXPECT_EQ(finish_with(block, auth, with_author), Status::policy_failure);
  block.launch_digest.bytes[47] ^= 1;
  EXPECT_EQ(finish_with(block, auth, with_author), Status::bad_measurement);
  EXPECT_EQ(guest().state, GuestState::launch);
  EXPECT_FALSE(guest().id_block_en);
  EXPECT_TRUE(recorder.finished.empty());
}

TEST_F(LaunchFinishTest, bad_keys_and_signatures) {
  begin();
  const auto spoiled = [this](auto spoil) {
    IdAuth auth = known_auth();
    spoil(auth);
    return finish_with(known_block(), auth, block_only);
  };
  EXPECT_EQ(spoiled([](IdAuth& a) { a.id_key_algorithm = 2; }), Status::invalid_param);
  EXPECT_EQ(spoiled([](IdAuth& a) { a.id_key.curve = 1; }), Status::bad_signature);
  EXPECT_EQ(spoiled([](IdAuth& a) { a.id_key.qx[0] ^= 1; }), Status::bad_signature) << "off curve";
  EXPECT_EQ(spoiled([](IdAuth& a) { a.id_key.qy[0x47] = 1; }), Status::bad_signature) << "too big";
  EXPECT_EQ(spoiled([](IdAuth& a) { std::fill_n(a.id_key.qx, 0x90, u8{0}); }),
            Status::bad_signature);
  EXPECT_EQ(spoiled([](IdAuth& a) { a.id_block_signature.r[0x47] = 1; }), Status::bad_signature);
  EXPECT_EQ(spoiled([](IdAuth& a) { a.id_block_signature = {}; }), Status::bad_signature);
  EXPECT_EQ(spoiled([](IdAuth& a) { std::fill_n(a.id_block_signature.s, 0x48, u8{0xFF}); }),
            Status::bad_signature);
  IdBlock block = known_block();
  block.guest_svn = 1;
  EXPECT_EQ(finish_with(block, known_auth(), block_only), Status::bad_signature);
  EXPECT_EQ(spoiled([](IdAuth&) {}), Status::success);
}

TEST_F(LaunchFinishTest, id_block_must_be_memory) {
  begin();
  SnpLaunchFinish finish{};
  finish.gctx_paddr = context.value();
  finish.id_block_paddr = dram_bytes - 8;
  finish.flags = block_only;
  EXPECT_EQ(run(Command::snp_launch_finish, finish), Status::invalid_address);
}

TEST_F(LaunchFinishTest, host_data_and_states) {
  init_and_flush();
  create_context();
  EXPECT_EQ(launch_finish(), Status::invalid_guest_state) << "INIT";
  ASSERT_EQ(launch_start(), Status::success);
  EXPECT_EQ(launch_finish(), Status::inactive);
  ASSERT_EQ(activate(), Status::success);
  SnpLaunchFinish finish{};
  finish.gctx_paddr = context.value();
  finish.host_data[0] = 0x11;
  finish.host_data[31] = 0x22;
  ASSERT_EQ(run(Command::snp_launch_finish, finish), Status::success);
  EXPECT_EQ(guest().host_data[0], 0x11);
  EXPECT_EQ(guest().host_data[31], 0x22);
  EXPECT_FALSE(guest().id_block_en);
  EXPECT_EQ(launch_finish(), Status::invalid_guest_state) << "RUNNING";
}

}  // namespace
}  // namespace softsnp::psp
