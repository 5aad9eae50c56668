#include "attest/page_sums.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <thread>

#include "attest/sha.hpp"

namespace softsnp::attest {
namespace {

constexpr usize pages_worth_a_thread = 128;  // about half a millisecond
constexpr usize most_threads = 4;

// Images are full of runs of equal pages.
void sum_range(std::span<const u8> bytes, std::span<psp::Digest> sums) {
  Sha384 sha;
  for (usize i = 0; i < sums.size(); ++i) {
    const u8* const page = &bytes[i * page_size];
    const bool same = i != 0 && std::memcmp(page, page - page_size, page_size) == 0;
    sums[i] = same ? sums[i - 1] : sha({page, page_size});
  }
}

class Threads {
 public:
  Threads() = default;
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  // Here, if the host gives no thread.
  template <class Work>
  void run(Work work) {
    try {
      threads_.emplace_back(work);
    } catch (const std::system_error&) {
      work();
    }
  }

 private:
  std::vector<std::thread> threads_;
};

}  // namespace

std::vector<psp::Digest> page_sums(std::span<const u8> bytes) {
  std::vector<psp::Digest> sums(bytes.size() / page_size);
  const usize threads =
      std::clamp<usize>(sums.size() / pages_worth_a_thread, 1,
                        std::clamp<usize>(std::thread::hardware_concurrency(), 1, most_threads));
  const usize share = (sums.size() + threads - 1) / threads;
  Threads others;
  for (usize at = share; at < sums.size(); at += share) {
    const usize count = std::min(share, sums.size() - at);
    others.run([bytes, &sums, at, count] {
      sum_range(bytes.subspan(at * page_size, count * page_size),
                std::span(sums).subspan(at, count));
    });
  }
  const usize first = std::min(share, sums.size());
  sum_range(bytes.first(first * page_size), std::span(sums).first(first));
  return sums;
}

}  // namespace softsnp::attest
