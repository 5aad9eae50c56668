// Random commands with buffers made of values that matter somewhere: a host that tries everything.
// Whatever comes is answered, and nothing of the RMP, the TMR or a guest's state is lost by it.
#include <random>

#include "machine/psp/command_row.hpp"
#include "tests/machine/psp/sev_fixture.hpp"

namespace softsnp::psp {
namespace {

// A machine to be tried on; one an episode, for what is lost stays lost.
struct Victim : SevTest {
  explicit Victim(std::mt19937_64& numbers) : random(numbers) { populate(); }
  void TestBody() override {}

  std::mt19937_64& random;

  u64 pick(std::span<const u64> values) { return values[random() % values.size()]; }
  u64 some_address() {
    static constexpr u64 good[] = {
        page.value(),      page.value() + 0x1000, other.value(),
        memory_at.value(), outside.value(),       output.value(),
        input.value(),     metadata.value(),      metadata.value() + 0x40};
    static constexpr u64 places[] = {context.value(), tmr.value(),         rmp_base.value(),
                                     dram_bytes,      dram_bytes - 0x1000, 0,
                                     ~u64{0},         ~u64{0} - 0xFFF,     u64{1} << 51,
                                     u64{1} << 40,    tmr.value() - 16,    rmp_base.value() - 16};
    static constexpr u64 offsets[] = {0x1000, 8, 16, 0x40, 0xFF0, ~u64{0}, 0x1FF000};
    if (random() % 4 != 0) {
      return pick(good);
    }
    return random() % 2 == 0 ? pick(places) : pick(good) + pick(offsets);
  }
  u64 some_number() {
    static constexpr u64 numbers[] = {
        0,   1,   2,     3,      4,      7,      16,     24,     0x30,     0x34,       0x80,
        100, 120, 0x824, 0x1000, 0x186C, 0x5000, 0x5010, 0x8000, 0x100000, 0xFFFFFFFF, 0xFFFFFFF0};
    return pick(numbers);
  }
  // Fields of four or eight bytes, the way the buffers have them.
  std::array<u8, Request::max_bytes> some_buffer() {
    std::array<u8, Request::max_bytes> bytes{};
    for (usize at = 0; at < bytes.size();) {
      const bool wide = at % 8 == 0 && random() % 2 == 0 && at + 8 <= bytes.size();
      if (wide) {
        store_le(&bytes[at], some_address());
      } else {
        store_le(&bytes[at], static_cast<u32>(some_number()));
      }
      at += wide ? 8 : 4;
    }
    return bytes;
  }
  // Mostly with reserved fields zero, and of a guest that exists: what gets past the first checks.
  std::array<u8, Request::max_bytes> some_buffer(const CommandRow& row) {
    auto bytes = some_buffer();
    if (random() % 8 == 0) {
      return bytes;
    }
    if (row.handle != CommandRow::no_context) {
      store_le(&bytes[row.handle], static_cast<u32>(1 + random() % 3));
    }
    if (row.context != CommandRow::no_context) {
      store_le(&bytes[row.context], context.value());
    }
    std::array<u8, Request::max_bytes + 8> padded{};
    std::copy(bytes.begin(), bytes.end(), padded.begin());
    for (const MustBeZero& zero : row.zero) {
      u8* const field = &padded[zero.offset];
      store_le(field, load_le<u64>(field) & ~zero.mask);
    }
    std::copy_n(padded.begin(), bytes.size(), bytes.begin());
    return bytes;
  }
  static std::vector<CommandRow> all_rows() {
    std::vector<CommandRow> rows(sev_command_rows().begin(), sev_command_rows().end());
    rows.insert(rows.end(), snp_command_rows().begin(), snp_command_rows().end());
    return rows;
  }
  // Guests of both kinds in several states, pages in several states.
  void populate() {
    snp_and_sev_init();
    running(0);
    activated(es);
    started(sev_policy::noks);
    create_context();
    ASSERT_EQ(launch_start(), Status::success);
    ASSERT_EQ(PspTest::activate(context, Asid{9}), Status::success);
    make_pre_guest(page, 0x5000, PageSize::size_4k, Asid{9});
    make_pre_guest(page + page_size, 0x6000, PageSize::size_4k, Asid{9});
    make_firmware(metadata);
    ASSERT_EQ(run(Command::snp_page_md_init, SnpPageMdInit{context.value(), metadata.value()}),
              Status::success);
    make_firmware(other);
    make_firmware(memory_at, PageSize::size_2m);
    for (u64 at = 0; at < 8; ++at) {
      make_firmware(output + at * page_size);
    }
  }
  // What ends most of what could be tried.
  static bool is_final(Command command) {
    return command == Command::shutdown || command == Command::decommission ||
           command == Command::deactivate || command == Command::snp_decommission ||
           command == Command::snp_page_reclaim;
  }

  void try_one(const CommandRow& row, std::map<Command, unsigned>& successes) {
    if (is_final(row.command) && random() % 16 != 0) {
      return;
    }
    const SystemPhysical at(random() % 8 == 0 ? some_address() : outside.value());
    const auto bytes = some_buffer(row);
    if (dram.contains(at, bytes.size()) && (at >= outside || at < rmp_base)) {
      put(at, bytes);
    }
    if (psp.command(row.command, at) == Status::success) {
      ++successes[row.command];
    }
    for (u64 offset = 0; offset < rmp_bytes; offset += rmp_bytes / 4) {
      ASSERT_EQ(state_of(rmp_base + offset), memory::PageState::firmware) << name(row.command);
    }
    if (psp.state().sev.tmr.bytes != 0) {
      ASSERT_EQ(state_of(tmr), memory::PageState::firmware) << name(row.command);
    }
  }
  static constexpr SystemPhysical metadata{0xF000};
};

TEST(HammerTest, random_commands_are_answered) {
  std::mt19937_64 random(20);
  const std::vector<CommandRow> rows = Victim::all_rows();
  std::map<Command, unsigned> successes;
  for (unsigned episode = 0; episode < 80; ++episode) {
    Victim victim(random);
    for (unsigned round = 0; round < 400; ++round) {
      victim.try_one(rows[random() % rows.size()], successes);
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }
  EXPECT_GT(successes.size(), 30u) << "commands that ever got all the way";
}

}  // namespace
}  // namespace softsnp::psp
