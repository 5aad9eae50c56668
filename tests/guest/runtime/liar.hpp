// A simulated host that lies at random, and the count of how the guest took it.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/bytes.hpp"
#include "guest/runtime/cause.hpp"
#include "tests/guest/runtime/simulated_host.hpp"

namespace softsnp::guest {

inline constexpr unsigned seeds = 5000;

// Lies about a third of what it is asked.
class Liar {
 public:
  Liar(SimulatedHost& host, u64 seed) : host_(host), random_(seed) {
    host.lie_by_msr = [this](u64 request, u64 answer) { return msr(request, answer); };
    host.lie_by_page = [this](const ghcb::Ghcb& request, ghcb::Ghcb& answer) {
      page(request, answer);
    };
    host.skip_svsm = [this] { return chance(4); };
  }

  bool chance(u64 n) { return random_() % n == 0; }
  unsigned lies() const { return lies_; }
  // Pages of the guest's shared memory that may be scribbled over.
  std::vector<u64> shared;

 private:
  u64 interesting() {
    static constexpr u64 values[] = {0,
                                     1,
                                     2,
                                     3,
                                     6,
                                     0x7FFFFFFF,
                                     0x80000000,
                                     0x80000B0D,
                                     0x80000306,
                                     ~u64{0},
                                     u64{1} << 32,
                                     u64{2} << 32,
                                     0x80000B0E};
    return chance(2) ? values[random_() % (sizeof values / 8)] : random_();
  }

  u64 msr(u64 request, u64 answer) {
    if (!chance(3)) {
      return answer;
    }
    ++lies_;
    switch (random_() % 5) {
      case 0:
        return answer ^ bit(static_cast<unsigned>(random_() % 64));
      case 1:
        return request;
      case 2:
        return interesting();
      case 3:
        return (answer & 0xFFF) | (random_() & ~u64{0xFFF});
      default:
        return answer & 0xFFF;
    }
  }

  void page(const ghcb::Ghcb& request, ghcb::Ghcb& answer) {
    // The truth about what was done is told elsewhere (SimulatedHost::rmp, ...).
    for (u64 n = chance(3) ? 1 + random_() % 3 : 0; n != 0; --n) {
      ++lies_;
      lie_once(request, answer);
    }
  }

  void lie_once(const ghcb::Ghcb& request, ghcb::Ghcb& answer) {
    static constexpr unsigned fields[] = {ghcb::field::rax,          ghcb::field::rbx,
                                          ghcb::field::rcx,          ghcb::field::rdx,
                                          ghcb::field::sw_exitinfo1, ghcb::field::sw_exitinfo2};
    const unsigned offset = fields[random_() % 6];
    switch (random_() % 8) {
      case 7:  // an exception, admissible or not
        store_le(answer.raw + ghcb::field::sw_exitinfo1, u64{1});
        store_le(answer.raw + ghcb::field::sw_exitinfo2, interesting());
        break;
      case 0:
      case 1:
        store_le(answer.raw + offset, interesting());
        break;
      case 2: {
        ghcb::ValidBitmap bits = answer.valid_bitmap;
        bits.clear(offset);
        answer.valid_bitmap = bits;
        break;
      }
      case 3:
        answer = request;  // nothing was answered
        break;
      case 4:  // somewhere in the shared buffer: counters, entries, data
        answer.raw[ghcb::shared_buffer_offset + random_() % 64] = static_cast<u8>(random_());
        break;
      case 5:
        store_le(answer.raw + ghcb::shared_buffer_offset,
                 ghcb::PageStateHeader{static_cast<u16>(random_() % 12),
                                       static_cast<u16>(random_() % 12), 0});
        break;
      default:
        if (!shared.empty()) {
          const u64 page_at = shared[random_() % shared.size()];
          host_.memory()[page_at + random_() % 0x200] = static_cast<u8>(random_());
        }
        break;
    }
  }

  SimulatedHost& host_;
  std::mt19937_64 random_;
  unsigned lies_ = 0;
};

// How the seeds of one class ended; every kind must have occurred, or the test tested nothing.
struct Tally {
  unsigned right = 0, refused = 0, exceptions = 0, lies = 0;
  template <class T>
  void failure(const Result<T, Cause>& r) {
    EXPECT_NE(std::string(name(r.error())).find_first_not_of(' '), std::string::npos);
    EXPECT_EQ(std::string(name(r.error())).find("unknown"), std::string::npos);
    ++refused;
  }
  void expect_both() const {
    EXPECT_GT(right, seeds / 20);
    EXPECT_GT(refused, seeds / 20);
    EXPECT_GT(lies, seeds / 5);
  }
};

}  // namespace softsnp::guest
