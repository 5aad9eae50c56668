// Guests come and go on one host: after each, the host has everything back.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "tests/end_to_end/guest_run.hpp"
#include "vmm/cpuid_table.hpp"

namespace softsnp::end_to_end {
namespace {

constexpr u64 mib = u64{1} << 20;

u64 resident_bytes() {
  unsigned long total = 0;
  unsigned long resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  EXPECT_TRUE(file != nullptr && std::fscanf(file, "%lu %lu", &total, &resident) == 2);
  if (file != nullptr) {
    std::fclose(file);
  }
  return resident * page_size;
}

class QuietConsole final : public vmm::Console {
 public:
  void write(std::span<const u8> bytes) override { output.append(bytes.begin(), bytes.end()); }
  vmm::ConsoleInput poll(std::chrono::milliseconds) override {
    ended_ = true;
    return {};
  }
  bool interactive() const override { return false; }
  bool ended() const override { return ended_; }
  void notice(std::string_view) override {}
  std::string output;

 private:
  bool ended_ = false;
};

struct NoSignals final : vmm::StopSource {
  std::optional<int> stop_requested() override { return std::nullopt; }
};

// What the host has, apart from time.
struct Holdings {
  u64 free = 0, user = 0, guest_memfd = 0, pinned = 0, swapped = 0;
  u64 assigned = 0;
  host::DirectMapCensus direct_map;
  usize leaked = 0;
  friend bool operator==(const Holdings&, const Holdings&) = default;
};

Holdings holdings_of(kvm::Kvm& kvm) {
  const kvm::ProcessMemoryReport memory = kvm.memory().report();
  const kvm::DirectMapReport map = kvm.direct_map();
  return {memory.free,    memory.user,        memory.guest_memfd, memory.pinned,
          memory.swapped, map.assigned_pages, map.census,         kvm.leaked_pages().size()};
}

class ManyGuests : public ::testing::Test {
 protected:
  ManyGuests() : machine_({256 * mib, 1, psp::Product::genoa, 1, {}}) {
    kvm_ = kvm::make_kvm(machine_.port());
  }

  void run_guest(image::Mode mode, const std::string& command_line) {
    image::Inputs inputs{
        {"sample", guest::sample_image()}, {}, command_line, 32 * mib, mode, 51, {}, 1};
    if (mode == image::Mode::snp) {
      inputs.cpuid = vmm::cpuid_page_entries(kvm_->supported_cpuid(kvm::VmType::snp));
    }
    const auto plan = image::build(inputs);
    ASSERT_TRUE(plan.ok()) << plan.error().text;
    vmm::Config config;
    config.mode = mode;
    config.policy = mode == image::Mode::snp ? 0x30000 : mode == image::Mode::sev_es ? 5 : 1;
    config.slice_ticks = 200'000;
    auto launched = vmm::launch(*kvm_, config, *plan, nullptr);
    ASSERT_TRUE(launched.ok()) << launched.error().text;
    vmm::Vmm vmm(std::move(*launched), plan->ram, config);
    QuietConsole console;
    NoSignals signals;
    EXPECT_EQ(vmm.run(console, signals).kind, vmm::OutcomeKind::powered_off) << console.output;
    kvm_->memory().compact();
    const auto blocks = kvm_->memory().blocks();
    kvm_->memory().swap_out(blocks[0]);
  }

  machine::Machine machine_;
  std::unique_ptr<kvm::Kvm> kvm_;
};

TEST_F(ManyGuests, AHundredLeaveNothing) {
  const std::pair<image::Mode, const char*> kinds[] = {
      {image::Mode::snp, "case=random-conversions"},
      {image::Mode::plain, "case=memory-patrol"},
      {image::Mode::sev, "case=memory-patrol"},
      {image::Mode::sev_es, ""},
      {image::Mode::snp, ""},
      {image::Mode::plain, ""}};
  Holdings after_first;
  u64 resident_then = 0;
  for (unsigned round = 0; round < 102; ++round) {
    const auto& [mode, command_line] = kinds[round % std::size(kinds)];
    ASSERT_NO_FATAL_FAILURE(run_guest(mode, command_line));
    const Holdings now = holdings_of(*kvm_);
    if (round + 1 == std::size(kinds)) {
      after_first = now;
    } else if (round >= std::size(kinds)) {
      ASSERT_EQ(now, after_first) << "after guest " << round;
    }
    if (round == 41) {
      resident_then = resident_bytes();
    }
  }
  EXPECT_EQ(after_first.user + after_first.guest_memfd + after_first.pinned + after_first.swapped,
            0u);
  EXPECT_EQ(after_first.assigned, 512u) << "SEV-ES's trusted memory region, which stays";
  EXPECT_EQ(after_first.leaked, 0u);
  // Decoded code of guests that are gone may wait for its end in a chunk or two.
  EXPECT_LT(resident_bytes(), resident_then + 2 * mib);
}

}  // namespace
}  // namespace softsnp::end_to_end
