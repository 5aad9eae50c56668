// DRAM's forms: what every asker sees is what an encryption engine in the memory controller shows.
#include "machine/memory/dram/dram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "machine/memory/events.hpp"

namespace softsnp::memory {
namespace {

constexpr KeyId key_1{1}, key_2{2};
constexpr SystemPhysical page{0x5000};
using Frame = std::array<u8, page_size>;

Frame filled(u8 value) {
  Frame frame;
  frame.fill(value);
  return frame;
}

class DramTest : public ::testing::Test {
 protected:
  DramTest() {
    dram.keys().set_tweak_seed(1);
    dram.keys().install(key_1, MemoryKey{{1}});
    dram.keys().install(key_2, MemoryKey{{2}});
  }
  Frame seen(SystemPhysical at, KeyId key) {
    Frame out;
    dram.read(at, key, out);
    return out;
  }
  bool logged(u64 from, Change change, SystemPhysical at) {
    for (u64 i = from; i < dram.log().number(); ++i) {
      if (dram.log().at(i).change == change && dram.log().at(i).covers(at)) {
        return true;
      }
    }
    return false;
  }
  Dram dram{large_page_size * 4};
};

TEST_F(DramTest, fresh_memory_is_raw_zeros) {
  EXPECT_EQ(seen(page, KeyId::none), Frame{});
  EXPECT_EQ(dram.form(page), KeyId::none);
  EXPECT_NE(seen(page, key_1), Frame{}) << "raw zeros run through a key are noise";
}

TEST_F(DramTest, the_same_form_is_host_memory_and_another_form_is_converted_once) {
  u8* bytes = dram.frame(page, key_1);
  EXPECT_EQ(dram.conversions(), 1u);
  std::memset(bytes, 0xAB, page_size);
  EXPECT_EQ(dram.frame(page, key_1), bytes);
  EXPECT_EQ(dram.conversions(), 1u);
  dram.note_pointer(page);
  const u64 seen_number = dram.log().number();
  u8* raw = dram.frame(page, KeyId::none);
  EXPECT_EQ(dram.conversions(), 2u);
  EXPECT_TRUE(logged(seen_number, Change::form, page));
  EXPECT_NE(std::memcmp(raw, filled(0xAB).data(), page_size), 0) << "the host sees ciphertext";
  EXPECT_EQ(std::memcmp(dram.frame(page, key_1), filled(0xAB).data(), page_size), 0);
}

TEST_F(DramTest, reading_under_another_key_shows_noise_and_disturbs_nothing) {
  dram.write(page, key_1, filled(7));
  const u64 number = dram.log().number();
  EXPECT_NE(seen(page, key_2), filled(7));
  EXPECT_NE(seen(page, KeyId::none), filled(7));
  EXPECT_EQ(seen(page, key_1), filled(7));
  EXPECT_EQ(dram.form(page), key_1);
  EXPECT_EQ(dram.log().number(), number);
}

TEST_F(DramTest, a_raw_write_turns_its_blocks_into_noise_and_leaves_the_rest) {
  dram.write(page, key_1, filled(7));
  const u8 one = 0x55;
  dram.write(page + 0x21, KeyId::none, std::span(&one, 1));
  const Frame after = seen(page, key_1);
  EXPECT_NE(std::memcmp(after.data() + 0x20, filled(7).data(), 16), 0);
  EXPECT_EQ(std::memcmp(after.data(), filled(7).data(), 0x20), 0);
  EXPECT_EQ(std::memcmp(after.data() + 0x30, filled(7).data(), page_size - 0x30), 0);
  EXPECT_EQ(seen(page, KeyId::none)[0x21], 0x55);
}

TEST_F(DramTest, replay_of_raw_bytes_restores_the_old_text) {
  dram.write(page, key_1, filled(7));
  const Frame old = seen(page, KeyId::none);
  dram.write(page, key_1, filled(8));
  dram.write(page, KeyId::none, old);
  EXPECT_EQ(seen(page, key_1), filled(7));
  dram.write(page + page_size, KeyId::none, old);
  EXPECT_NE(seen(page + page_size, key_1), filled(7)) << "elsewhere it is noise";
}

// The rule behind all forms: whatever was done, in whatever form frames are held, memory equals an
// array of ciphertext that is decrypted and encrypted on each access.
TEST_F(DramTest, random_accesses_agree_with_an_engine_that_always_holds_ciphertext) {
  constexpr u64 frames = 3;
  std::vector<u8> truth(frames * page_size);
  KeyTable engine;
  engine.set_tweak_seed(1);
  engine.install(key_1, MemoryKey{{1}});
  engine.install(key_2, MemoryKey{{2}});
  const auto view = [&](KeyId key) {
    std::vector<u8> out = truth;
    for (u64 f = 0; f < frames && key != KeyId::none; ++f) {
      engine.decrypt_frame(key, SystemPhysical{f * page_size}, out.data() + f * page_size);
    }
    return out;
  };
  const auto set_view = [&](KeyId key, std::vector<u8> bytes) {
    for (u64 f = 0; f < frames && key != KeyId::none; ++f) {
      engine.encrypt_frame(key, SystemPhysical{f * page_size}, bytes.data() + f * page_size);
    }
    truth = bytes;
  };
  const KeyId keys[] = {KeyId::none, key_1, key_2, KeyId::host};
  u64 state = 12345;
  const auto random = [&](u64 below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  for (int step = 0; step < 4000; ++step) {
    const KeyId key = keys[random(4)], to = keys[random(4)];
    const SystemPhysical frame{random(frames) * page_size};
    const u64 at = random(frames * page_size);
    const u64 size =
        random(4) == 0 ? random(frames * page_size - at) : random(40) % (frames * page_size - at);
    std::vector<u8> expected = view(key);
    switch (random(6)) {
      case 0: {
        std::vector<u8> out(size);
        dram.read(SystemPhysical{at}, key, out);
        ASSERT_TRUE(std::equal(out.begin(), out.end(), expected.begin() + static_cast<long>(at)));
        break;
      }
      case 1: {
        std::vector<u8> in(size);
        std::generate(in.begin(), in.end(), [&] { return static_cast<u8>(random(256)); });
        dram.write(SystemPhysical{at}, key, in);
        std::copy(in.begin(), in.end(), expected.begin() + static_cast<long>(at));
        set_view(key, expected);
        break;
      }
      case 2:
        dram.frame(frame, key)[at % page_size] = static_cast<u8>(step);
        expected[frame.value() + at % page_size] = static_cast<u8>(step);
        set_view(key, expected);
        break;
      case 3: {
        dram.reencrypt_in_place(frame, key, to);
        std::vector<u8> target = view(to);
        std::copy_n(expected.begin() + static_cast<long>(frame.value()), page_size,
                    target.begin() + static_cast<long>(frame.value()));
        set_view(to, target);
        break;
      }
      case 4:
        dram.zero_frame(frame, key);
        std::fill_n(expected.begin() + static_cast<long>(frame.value()), page_size, u8{0});
        set_view(key, expected);
        break;
      default:
        dram.release_frame(frame);
        std::fill_n(truth.begin() + static_cast<long>(frame.value()), page_size, u8{0});
        break;
    }
  }
  std::vector<u8> raw(truth.size());
  dram.read(SystemPhysical{0}, KeyId::none, raw);
  EXPECT_EQ(raw, truth);
  EXPECT_GT(dram.conversions(), 100u);
}

TEST_F(DramTest, a_new_key_does_not_read_what_the_old_one_wrote) {
  dram.write(page, key_1, filled(7));
  const Frame cipher = seen(page, KeyId::none);
  const u64 number = dram.log().number();
  dram.keys().install(key_1, MemoryKey{{99}});
  EXPECT_FALSE(dram.log().holds_since(number)) << "everybody must drop everything";
  EXPECT_EQ(seen(page, KeyId::none), cipher) << "the bus contents stay";
  EXPECT_NE(seen(page, key_1), filled(7));
  dram.keys().install(key_1, MemoryKey{{1}});
  EXPECT_EQ(seen(page, key_1), filled(7));
}

TEST_F(DramTest, reencrypting_what_is_already_plain_costs_no_aes) {
  dram.write(page, KeyId::none, filled(3));
  const u64 before = dram.conversions();
  dram.reencrypt_in_place(page, KeyId::none, key_1);
  EXPECT_EQ(dram.conversions(), before);
  EXPECT_EQ(seen(page, key_1), filled(3));
  EXPECT_NE(seen(page, KeyId::none), filled(3));
}

// Zeros under a key that nobody ever wrote are ciphertext once the key goes, however that is done:
// under a retired name while there are any, in place afterwards.
TEST_F(DramTest, a_key_that_goes_leaves_the_ciphertext_of_fresh_frames) {
  const auto nth = [](u32 n) {
    MemoryKey key{};
    std::memcpy(&key, &n, sizeof n);
    return key;
  };
  std::vector<Frame> before;
  for (u32 n = 0; n < key_id_limit - first_retired_key + 4; ++n) {
    dram.keys().install(key_1, nth(n + 1));
    if (n != 0) {
      ASSERT_EQ(seen(page, KeyId::none), before.back()) << n;
      before.pop_back();
    }
    dram.zero_frames(page, 1, key_1);
    before.push_back(seen(page, KeyId::none));
    ASSERT_NE(before.back(), Frame{});
  }
}

TEST_F(DramTest, writers_other_than_cores_log_watched_frames_only) {
  dram.set_watched(page, true);
  u64 number = dram.log().number();
  const u8 byte = 1;
  dram.write(page + 5, KeyId::none, std::span(&byte, 1));
  EXPECT_TRUE(logged(number, Change::contents, page));
  number = dram.log().number();
  dram.write(page + page_size, KeyId::none, std::span(&byte, 1));
  EXPECT_EQ(dram.log().number(), number);
  dram.zero_frame(page, KeyId::none);
  EXPECT_TRUE(logged(number, Change::contents, page));
  number = dram.log().number();
  dram.release_frame(page);
  EXPECT_TRUE(logged(number, Change::contents, page));
  dram.set_watched(page, false);
  number = dram.log().number();
  dram.write(page, KeyId::none, std::span(&byte, 1));
  EXPECT_EQ(dram.log().number(), number);
}

TEST_F(DramTest, a_change_of_form_is_logged_for_whoever_keeps_a_pointer) {
  const u64 start = dram.log().number();
  dram.frame(page, key_1);
  dram.frame(page, KeyId::none);
  EXPECT_EQ(dram.log().number(), start) << "nobody has seen the frame";
  dram.note_pointer(page + 5);
  dram.frame(page, KeyId::none);
  EXPECT_EQ(dram.log().number(), start) << "its form has not changed";
  dram.frame(page, key_1);
  EXPECT_TRUE(logged(start, Change::form, page));
  const u64 after = dram.log().number();
  dram.frame(page, KeyId::none);
  EXPECT_EQ(dram.log().number(), after) << "told once, the pointer is gone";
  dram.set_watched(page, true);
  dram.note_pointer(page);
  dram.frame(page, key_1);
  dram.frame(page, KeyId::none);
  EXPECT_EQ(dram.log().number(), after + 2) << "decoded code is told each time";
  EXPECT_TRUE(dram.watched(page));
}

TEST_F(DramTest, whole_blocks_are_one_entry_of_the_log) {
  Dram wide(u64{4} << 20);
  const SystemPhysical block{large_page_size};
  const u64 start = wide.log().number();
  wide.zero_frames(block, 512, KeyId::none);
  EXPECT_EQ(wide.log().number(), start);
  wide.frame(block + page_size, key_1);
  wide.note_pointer(block + page_size);
  wide.zero_frames(block, 512, KeyId::none);
  ASSERT_EQ(wide.log().number(), start + 1);
  EXPECT_TRUE(wide.log().at(start).covers(block + page_size));
  EXPECT_EQ(wide.form(block + page_size), KeyId::none);
}

TEST_F(DramTest, observer_counts_conversions) {
  struct Counter : Observer {
    void form_converted(SystemPhysical at) override { ++count, last = at; }
    unsigned count = 0;
    SystemPhysical last;
  } counter;
  dram.set_observer(&counter);
  dram.frame(page + 0x123, key_1);
  dram.frame(page, key_1);
  EXPECT_EQ(counter.count, 1u);
  EXPECT_EQ(counter.last, page);
}

TEST_F(DramTest, beyond_the_end_is_a_broken_invariant) {
  const SystemPhysical end{dram.size()};
  std::array<u8, 2> two{};
  EXPECT_DEATH(dram.frame(end, KeyId::none), "broken invariant.*beyond the end");
  EXPECT_DEATH(dram.frame(SystemPhysical{~u64{0}}, KeyId::none), "broken invariant");
  EXPECT_DEATH(dram.read(end - 1, KeyId::none, two), "broken invariant");
  EXPECT_DEATH(dram.write(end - 1, KeyId::none, two), "broken invariant");
  EXPECT_DEATH(static_cast<void>(dram.form(end)), "broken invariant");
  EXPECT_DEATH(dram.release_frames(end - page_size, 2), "broken invariant");
  EXPECT_DEATH(Dram odd(4096), "broken invariant");
  dram.read(end, KeyId::none, std::span<u8>());
}

// --- digest

TEST_F(DramTest, digest_sees_the_bus_and_not_the_forms) {
  Dram other(dram.size());
  other.keys().set_tweak_seed(1);
  other.keys().install(key_1, MemoryKey{{1}});
  EXPECT_EQ(dram.digest(), other.digest());
  dram.write(page, key_1, filled(9));
  other.write(page, KeyId::none, seen(page, KeyId::none));
  EXPECT_NE(dram.form(page), other.form(page));
  EXPECT_EQ(dram.digest(), other.digest());
  EXPECT_EQ(dram.form(page), key_1) << "forms stay";
  const u8 byte = 1;
  other.write(page + page_size, KeyId::none, std::span(&byte, 1));
  EXPECT_NE(dram.digest(), other.digest());
  other.zero_frame(page + page_size, KeyId::none);
  EXPECT_EQ(dram.digest(), other.digest()) << "touched zeros are zeros";
  dram.zero_frame(page + 2 * page_size, key_1);
  EXPECT_NE(dram.digest(), other.digest()) << "zeros under a key are not";
}

TEST_F(DramTest, digest_knows_where_bytes_lie) {
  dram.write(page, KeyId::none, filled(1));
  const std::vector<u8> here = dram.digest();
  dram.release_frame(page);
  dram.write(page + page_size, KeyId::none, filled(1));
  EXPECT_NE(dram.digest(), here);
  EXPECT_EQ(here.size(), 32u);
}

u64 resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  u64 total = 0, resident = 0;
  statm >> total >> resident;
  return resident * page_size;
}

TEST(DramCost, untouched_memory_costs_nothing) {
  const u64 before = resident_bytes();
  Dram huge(u64{64} << 30);
  for (u64 i = 0; i < 8192; ++i) {
    huge.zero_frame(SystemPhysical{i * page_size * 64}, i % 2 == 0 ? KeyId::none : key_1);
  }
  EXPECT_LT(resident_bytes(), before + (u64{24} << 20))
      << "32 MiB of frames zeroed, none committed";
  for (u64 i = 0; i < 8192; ++i) {
    huge.frame(SystemPhysical{i * page_size}, KeyId::none)[0] = 1;
  }
  EXPECT_GT(resident_bytes(), before + (u64{30} << 20));
  huge.release_frames(SystemPhysical{0}, 8192);
  EXPECT_LT(resident_bytes(), before + (u64{24} << 20));
  EXPECT_EQ(huge.frame(SystemPhysical{0}, KeyId::none)[0], 0);
}

}  // namespace
}  // namespace softsnp::memory
