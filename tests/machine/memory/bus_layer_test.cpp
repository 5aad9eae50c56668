// The seam between askers and DRAM: an alias layer makes two sPAs hit one frame.
#include "machine/memory/dram/bus_layer.hpp"

#include <gtest/gtest.h>

#include <array>

#include "machine/memory/dram/dram.hpp"

namespace softsnp::memory {
namespace {

constexpr KeyId key_1{1};
constexpr SystemPhysical home{0x5000};
constexpr SystemPhysical alias{0x405000};
using Frame = std::array<u8, page_size>;

// A module that ignores one address bit, as in the published aliasing attacks.
struct Alias : BusLayer {
  SystemPhysical route(SystemPhysical page) const override {
    return SystemPhysical{page.value() & ~u64{0x400000}};
  }
  void before_read(SystemPhysical at, KeyId, u64 bytes) override { last_read = at, read += bytes; }
  void after_write(SystemPhysical at, KeyId, u64 bytes) override {
    last_write = at, written += bytes;
  }
  SystemPhysical last_read, last_write;
  u64 read = 0, written = 0;
};

class BusLayerTest : public ::testing::Test {
 protected:
  BusLayerTest() { dram.keys().install(key_1, MemoryKey{{1}}); }
  Frame seen(SystemPhysical at, KeyId key) {
    Frame out;
    dram.read(at, key, out);
    return out;
  }
  Frame text() {
    Frame frame;
    frame.fill(0x77);
    return frame;
  }
  Dram dram{4 * large_page_size};
  Alias layer;
};

TEST_F(BusLayerTest, absent_two_addresses_are_two_frames) {
  EXPECT_FALSE(dram.has_bus_layer());
  dram.write(home, KeyId::none, text());
  EXPECT_EQ(seen(alias, KeyId::none), Frame{});
}

TEST_F(BusLayerTest, both_addresses_hit_one_frame_raw) {
  const u64 number = dram.log().number();
  dram.set_bus_layer(&layer);
  EXPECT_TRUE(dram.has_bus_layer());
  EXPECT_FALSE(dram.log().holds_since(number)) << "cores must forget every host pointer";
  dram.write(home, KeyId::none, text());
  EXPECT_EQ(seen(alias, KeyId::none), text());
  const u8 byte = 1;
  dram.write(alias + 9, KeyId::none, std::span(&byte, 1));
  EXPECT_EQ(seen(home, KeyId::none)[9], 1);
  EXPECT_EQ(dram.frame(home, KeyId::none)[9], 1);
}

TEST_F(BusLayerTest, an_alias_shows_ciphertext_and_replays_it) {
  dram.set_bus_layer(&layer);
  dram.write(home, key_1, text());
  const Frame cipher = seen(alias, KeyId::none);
  EXPECT_EQ(cipher, seen(home, KeyId::none));
  EXPECT_NE(cipher, text());
  EXPECT_NE(seen(alias, key_1), text()) << "the tweak is that of the address asked for";
  dram.write(home, key_1, Frame{});
  dram.write(alias, KeyId::none, cipher);
  EXPECT_EQ(seen(home, key_1), text()) << "replayed through the alias";
}

TEST_F(BusLayerTest, writes_through_the_alias_under_a_key_read_back_through_the_alias) {
  dram.set_bus_layer(&layer);
  dram.write(home, key_1, text());
  const u8 bytes[] = {1, 2, 3};
  dram.write(alias + 0xFFD, key_1, bytes);
  EXPECT_EQ(seen(alias, key_1)[0xFFF], 3);
  EXPECT_NE(seen(home, key_1), text());
  dram.write(alias, key_1, text());
  EXPECT_EQ(seen(alias, key_1), text());
}

TEST_F(BusLayerTest, watched_frames_are_logged_through_the_alias) {
  dram.set_bus_layer(&layer);
  dram.set_watched(home, true);
  const u64 number = dram.log().number();
  const u8 byte = 1;
  dram.write(alias, KeyId::none, std::span(&byte, 1));
  ASSERT_EQ(dram.log().number(), number + 1);
  EXPECT_TRUE(dram.log().at(number).covers(home));
}

TEST_F(BusLayerTest, hooks_see_addresses_as_asked_for) {
  dram.set_bus_layer(&layer);
  dram.write(alias + 0x800, KeyId::none, text());
  EXPECT_EQ(layer.last_write, alias + 0x800);
  EXPECT_EQ(layer.written, page_size);
  seen(alias, KeyId::none);
  EXPECT_EQ(layer.last_read, alias);
  EXPECT_EQ(layer.read, page_size);
  dram.set_bus_layer(nullptr);
  EXPECT_EQ(seen(alias, KeyId::none), Frame{}) << "the alias itself was never written";
}

TEST_F(BusLayerTest, routing_out_of_dram_is_a_broken_invariant) {
  struct Astray : BusLayer {
    SystemPhysical route(SystemPhysical) const override { return SystemPhysical{u64{1} << 50}; }
  } astray;
  dram.set_bus_layer(&astray);
  EXPECT_DEATH(seen(home, KeyId::none), "routed beyond DRAM");
}

}  // namespace
}  // namespace softsnp::memory
