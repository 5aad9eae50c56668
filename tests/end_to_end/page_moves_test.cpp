// The host moves the memory of living guests: they notice nothing, as long as it is a plain guest's
// memory, shared memory, or pinned.
#include <gtest/gtest.h>

#include <map>

#include "machine/memory/rmp/rmp.hpp"
#include "tests/end_to_end/linux_guest.hpp"

namespace softsnp::end_to_end {
namespace {

// One kind of move after the other, over all RAM of the process.
class RestlessHost {
 public:
  void act(kvm::Kvm& kvm) {
    kvm::ProcessMemory& memory = kvm.memory();
    const std::vector<kvm::RamBlock> blocks = memory.blocks();
    switch (turn_++ % 5) {
      case 0:
        memory.compact();
        return;
      case 1:
        memory.merge(blocks);
        return;
      case 2:
        for (const kvm::RamBlock& block : blocks) {
          memory.swap_out(block);
        }
        return;
      case 3:
        for (const kvm::RamBlock& block : blocks) {
          memory.migrate(block, 1);
        }
        return;
      default:
        for (const kvm::RamBlock& block : blocks) {
          memory.swap_in(block);
        }
        return;
    }
  }

 private:
  u64 turn_ = 0;
};

u64 hash_of(std::span<const u8> bytes) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// What the guest sees of its memory, by gPA: private pages through the RMP and the guest's key.
std::map<u64, u64> final_memory(GuestRun& run, u64 ram, bool with_private) {
  std::map<u64, u64> pages;
  std::array<u8, page_size> bytes;
  for (u64 gpa = 0; gpa < ram; gpa += page_size) {
    if (run.vm().read_shared(GuestPhysical(gpa), bytes)) {
      pages[gpa] = hash_of(bytes);
    }
  }
  memory::Rmp& rmp = run.machine().rmp();
  memory::Dram& dram = run.machine().dram();
  if (!with_private || !rmp.enabled()) {
    return pages;
  }
  for (SystemPhysical at(0); at.value() < dram.size();) {
    const snp::RmpEntry entry = rmp.covered(at) ? rmp.entry(at) : snp::RmpEntry{};
    const u64 size = entry.size() == PageSize::size_2m ? large_page_size : page_size;
    for (u64 offset = 0; entry.asid() != Asid::host && offset < size; offset += page_size) {
      dram.read(at + offset, memory::key_of(entry.asid()), bytes);
      pages[entry.gpa().value() + offset] = hash_of(bytes);
    }
    at = at + size;
  }
  return pages;
}

GuestOptions sample(image::Mode mode, const std::string& name) {
  GuestOptions options = sample_case(name);
  options.mode = mode;
  options.policy = mode == image::Mode::snp ? 0x30000 : mode == image::Mode::sev_es ? 5 : 1;
  options.memory = u64{32} << 20;
  options.slice_ticks = 3000;
  return options;
}

// One run on a calm host and one on a restless one: the guest prints the same.
struct TwoRuns {
  TwoRuns(image::Mode mode, const std::string& name) : calm(sample(mode, name)) {
    GuestOptions options = sample(mode, name);
    options.between_slices = [this](kvm::Kvm& kvm) { host.act(kvm); };
    restless.emplace(options);
    EXPECT_EQ(calm.run().kind, vmm::OutcomeKind::powered_off) << calm.outcome().text;
    EXPECT_EQ(restless->run().kind, vmm::OutcomeKind::powered_off) << restless->outcome().text;
    EXPECT_EQ(restless->output(), calm.output());
    moves = restless->kvm().memory().report().moves;
  }
  void expect_same_memory(bool with_private) {
    const u64 ram = u64{32} << 20;
    EXPECT_EQ(final_memory(*restless, ram, with_private), final_memory(calm, ram, with_private));
  }

  RestlessHost host;
  GuestRun calm;
  std::optional<GuestRun> restless;
  kvm::MoveReport moves;
};

TEST(PageMoves, APlainGuestDoesNotNotice) {
  TwoRuns runs(image::Mode::plain, "memory-patrol");
  EXPECT_TRUE(runs.calm.printed("pages that lost their content: 0\n")) << runs.calm.output();
  runs.expect_same_memory(true);
  EXPECT_GT(runs.moves.moved, 1000u);
  EXPECT_GT(runs.moves.swapped_out, 1000u);
  EXPECT_GT(runs.moves.merged, 1000u);
  EXPECT_EQ(runs.moves.pinned + runs.moves.guest_memfd, 0u);
}

// Its private pages are in a guest_memfd, which the host leaves alone.
TEST(PageMoves, AnSnpGuestDoesNotNotice) {
  TwoRuns runs(image::Mode::snp, "memory-patrol");
  EXPECT_TRUE(runs.calm.printed("pages that lost their content: 0\n")) << runs.calm.output();
  runs.expect_same_memory(true);
  EXPECT_GT(runs.moves.guest_memfd, 1000u);
}

// Its memory is registered, so that its pages stay.
TEST(PageMoves, SevGuestsDoNotNotice) {
  for (const image::Mode mode : {image::Mode::sev, image::Mode::sev_es}) {
    TwoRuns runs(mode, "memory-patrol");
    EXPECT_TRUE(runs.calm.printed("pages that lost their content: 0\n")) << runs.calm.output();
    EXPECT_GT(runs.moves.pinned, 10000u);
    EXPECT_EQ(runs.moves.moved + runs.moves.swapped_out + runs.moves.merged, 0u);
  }
}

// A VMM that forgets about it: each page that moves is noise once.
TEST(PageMoves, WithoutRegistrationAnSevGuestLosesWhatMoves) {
  constexpr u64 patrol_at = 0xC00000, patrol_bytes = u64{8} << 20;
  GuestOptions options = sample(image::Mode::sev, "memory-patrol");
  GuestRun* running = nullptr;
  int slice = 0;
  u64 moved = 0;
  options.between_slices = [&](kvm::Kvm& kvm) {
    if (++slice == 10) {
      const kvm::RamBlock ram = kvm.memory().blocks().at(0);
      EXPECT_TRUE(running->vm().unregister_region(ram.first, ram.bytes).ok());
      moved = kvm.memory().migrate({ram.first + patrol_at, patrol_bytes}, 1).moved;
      EXPECT_TRUE(running->vm().register_region(ram.first, ram.bytes).ok());
    }
  };
  GuestRun run(options);
  running = &run;
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  EXPECT_EQ(moved, patrol_bytes / page_size);
  // The guest may have been between the look at a page and the write to it.
  EXPECT_TRUE(run.printed("pages that lost their content: 2048\n") ||
              run.printed("pages that lost their content: 2047\n"))
      << run.output();
}

// The firmware moves an SNP guest's private pages between nodes, and takes some out of DRAM.
TEST(PageMoves, TheFirmwareMovesPrivatePages) {
  constexpr GuestPhysical from(u64{2} << 20);
  constexpr u64 bytes = u64{30} << 20;
  GuestOptions options = sample(image::Mode::snp, "memory-patrol");
  GuestRun* running = nullptr;
  kvm::MoveReport moves;
  const auto add = [&](const Result<kvm::MoveReport, kvm::Error>& report) {
    ASSERT_TRUE(report.ok()) << report.error().what;
    moves += *report;
  };
  unsigned slice = 0;
  options.between_slices = [&](kvm::Kvm&) {
    switch (++slice % 8) {
      case 1:
        return add(running->vm().migrate_private(from, bytes, 1));
      case 3:
        return add(running->vm().migrate_private(from, bytes, 0));
      case 5:
        return add(running->vm().swap_out_private(from + bytes / 2 - 0x40000, 0x80000));
      case 7:
        return add(running->vm().swap_in_private(from, bytes));
      default:
        return;
    }
  };
  GuestRun calm(sample(image::Mode::snp, "memory-patrol"));
  EXPECT_EQ(calm.run().kind, vmm::OutcomeKind::powered_off) << calm.outcome().text;
  GuestRun run(options);
  running = &run;
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  EXPECT_TRUE(run.printed("pages that lost their content: 0\n")) << run.output();
  EXPECT_EQ(run.launch_digest(), calm.launch_digest());
  EXPECT_EQ(final_memory(run, u64{32} << 20, true), final_memory(calm, u64{32} << 20, true));
  EXPECT_GT(moves.moved, 10000u);
  EXPECT_GT(moves.swapped_out, 100u);
  EXPECT_GT(moves.swapped_in, 20u) << "the others came when the guest touched them";
  EXPECT_LT(moves.swapped_in, moves.swapped_out);
}

// Here shared pages with contents move. Private pages that were shared before begin as noise, each
// frame's its own, which is why only what is shared can be compared.
TEST(PageMoves, ConversionsAndMovesGoTogether) {
  TwoRuns runs(image::Mode::snp, "random-conversions");
  EXPECT_TRUE(runs.calm.printed("pages that lost their content: 0\n")) << runs.calm.output();
  runs.expect_same_memory(false);
  EXPECT_GT(runs.moves.moved, 100u);
  EXPECT_GT(runs.moves.swapped_out, 100u);
}

void boot_on_restless_host(image::Mode mode) {
  const LinuxGuest linux_guest;
  ASSERT_TRUE(linux_guest.is_there()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
  GuestOptions options = linux_guest.options(mode);
  options.unobserved = true;
  options.memory = u64{256} << 20;
  options.slice_ticks = 60'000'000;
  RestlessHost host;
  options.between_slices = [&](kvm::Kvm& kvm) { host.act(kvm); };
  GuestRun run(std::move(options));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  EXPECT_TRUE(run.printed("softsnp self-check: PASS")) << run.output();
  const kvm::MoveReport moves = run.kvm().memory().report().moves;
  std::printf("moved %llu, swapped out %llu, in %llu, merged %llu, refused: guest_memfd %llu\n",
              static_cast<unsigned long long>(moves.moved),
              static_cast<unsigned long long>(moves.swapped_out),
              static_cast<unsigned long long>(moves.swapped_in),
              static_cast<unsigned long long>(moves.merged),
              static_cast<unsigned long long>(moves.guest_memfd));
  EXPECT_GT(moves.moved, 300u);
}

TEST(PageMoves, PlainLinuxDoesNotNotice) {
  boot_on_restless_host(image::Mode::plain);
}
TEST(PageMoves, SnpLinuxDoesNotNotice) {
  boot_on_restless_host(image::Mode::snp);
}

}  // namespace
}  // namespace softsnp::end_to_end
