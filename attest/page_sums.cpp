#include "attest/page_sums.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>

#include "attest/sha.hpp"

namespace softsnp::attest {
namespace {

constexpr usize pages_a_chunk = 32;
constexpr usize chunks_worth_a_thread = 4;  // about half a millisecond
constexpr usize most_threads = 4;

// What several threads sum, a chunk at a time: who starts late or is held up does less.
class Job {
 public:
  explicit Job(std::span<const u8> bytes) : bytes_(bytes), sums_(bytes.size() / page_size) {}

  usize chunks() const { return (sums_.size() + pages_a_chunk - 1) / pages_a_chunk; }
  void work() {
    Sha384 sha;
    for (usize chunk = next_++; chunk < chunks(); chunk = next_++) {
      const usize first = chunk * pages_a_chunk;
      sum(sha, first, std::min(first + pages_a_chunk, sums_.size()));
    }
  }
  std::vector<psp::Digest> result() && { return std::move(sums_); }

 private:
  // Images are full of runs of equal pages.
  void sum(Sha384& sha, usize first, usize end) {
    for (usize i = first; i < end; ++i) {
      const u8* const page = &bytes_[i * page_size];
      const bool same = i != first && std::memcmp(page, page - page_size, page_size) == 0;
      sums_[i] = same ? sums_[i - 1] : sha({page, page_size});
    }
  }

  std::span<const u8> bytes_;
  std::vector<psp::Digest> sums_;
  std::atomic<usize> next_ = 0;
};

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
  // Not at all, if the host gives no thread.
  void add(Job& job) {
    try {
      threads_.emplace_back([&job] { job.work(); });
    } catch (const std::system_error&) {
    }
  }

 private:
  std::vector<std::thread> threads_;
};

}  // namespace

std::vector<psp::Digest> page_sums(std::span<const u8> bytes) {
  Job job(bytes);
  const usize processors = std::clamp<usize>(std::thread::hardware_concurrency(), 1, most_threads);
  const usize threads = std::min(processors, job.chunks() / chunks_worth_a_thread);
  {
    Threads others;
    for (usize i = 1; i < threads; ++i) {
      others.add(job);
    }
    job.work();
  }
  return std::move(job).result();
}

}  // namespace softsnp::attest
