// What each mode stops: one row a hostile act, one column a mode, and what the guest and the host
// saw. Expected outcomes: hardware sheet 10.1 (whitepaper threat table), 2.3 (the engine).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"
#include "tests/end_to_end/hostile_host.hpp"
#include "tests/end_to_end/negative_table.hpp"

namespace softsnp::end_to_end {
namespace {

namespace pte = x86::pte;
using image::Mode;

constexpr u64 held = 0x5EC2E75EC2E75EC2;  // guest_cases.cpp, case_witness
constexpr u64 forged = 0x4242424242424242;
constexpr usize r12 = 12;
constexpr u64 rmp_store_fault = 0x80000003;

constexpr u64 pattern(u64 page, u64 index) {
  return 0x1122334455667700 + 0x10000 * page + index;
}

enum class Outcome : u8 {
  open,       // the host got or did what it wanted
  hidden,     // the host saw noise
  garbled,    // the guest saw noise: damage, but not what the host wanted
  refused,    // the host's access failed, the guest noticed nothing
  detected,   // the guest does not run on with it: the run ends and says why
  no_effect,  // there is nothing to attack
};

const char* name(Outcome outcome) {
  constexpr const char* names[] = {"OPEN", "hidden", "garbled", "refused", "detected", "no effect"};
  return names[static_cast<usize>(outcome)];
}

// Two acts, at the guest's two port writes.
class WitnessedHost final : public machine::WrappedPort {
 public:
  using Act = std::function<void(Scene&)>;
  WitnessedHost(machine::HostPort& inner, Act first, Act second)
      : WrappedPort(inner),
        entry_(inner),
        first_(entry_, 0x98, wrap(std::move(first))),
        second_(first_, 0x99, wrap(std::move(second))) {}
  Result<void, machine::HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                             u64 max_instructions) override {
    return second_.vmrun(core, vmcb, max_instructions);
  }

 private:
  lab::ActAtPort::Act wrap(Act act) {
    return [this, act = std::move(act)](lab::ActAtPort::Scene& seen) {
      Scene scene{inner_, seen.vmcb_page, seen.vmcb, entry_};
      if (act) {
        act(scene);
      }
    };
  }
  EntryEditor entry_;
  lab::ActAtPort first_, second_;
};

constexpr GuestPhysical page_0(0x800000), page_1(0x801000);  // checked by the undisturbed run

struct Page {
  u64 changed = 0;
  u64 first = 0;
};

// What the guest printed at its end, if it came to that.
struct Witness {
  bool finished = false;
  u64 reg = 0;
  Page pages[2];
  std::string end;

  bool untouched() const {
    return finished && reg == held && pages[0].changed == 0 && pages[1].changed == 0;
  }
};

Page read_page(const std::string& output, const char* title) {
  const std::string line = line_with(output, title);
  unsigned long long changed = 0;
  unsigned long long first = 0;
  const auto at = line.find("changed");
  if (at != std::string::npos) {
    std::sscanf(line.c_str() + at, "changed %llu, first 0x%llx", &changed, &first);
  }
  return {changed, first};
}

Witness watch(Mode mode, WitnessedHost::Act first, WitnessedHost::Act second) {
  GuestOptions options = sample_case("witness");
  options.mode = mode;
  options.policy = mode == Mode::sev ? 1 : mode == Mode::sev_es ? 5 : 0x30000;
  options.host = [&](machine::HostPort& honest) {
    return std::make_unique<WitnessedHost>(honest, first, second);
  };
  GuestRun run(std::move(options));
  run.run();
  Witness seen;
  seen.finished = run.outcome().kind == vmm::OutcomeKind::powered_off;
  seen.end = ending(run);
  EXPECT_TRUE(run.printed("pages at 0x800000 and 0x801000")) << run.output() << seen.end;
  const std::string line = line_with(run.output(), "register 0x");
  const auto digits = line.find("0x");
  seen.reg = digits == std::string::npos ? 0 : std::stoull(line.substr(digits), nullptr, 16);
  seen.pages[0] = read_page(run.output(), "page 0:");
  seen.pages[1] = read_page(run.output(), "page 1:");
  return seen;
}

SystemPhysical place(Scene& scene, GuestPhysical gpa) {
  const auto leaf = scene.leaf(gpa);
  return leaf ? leaf->page : SystemPhysical(0);
}

struct Tried {
  Outcome outcome = Outcome::no_effect;
  std::string text;
};

std::string hex(u64 value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

Tried read_memory(Mode mode) {
  u64 first = 0;
  const Witness seen = watch(
      mode, {}, [&](Scene& scene) { first = read_quadword(scene.port, place(scene, page_0)); });
  EXPECT_TRUE(seen.untouched());
  return {first == pattern(0, 0) ? Outcome::open : Outcome::hidden, "saw " + hex(first)};
}

Tried read_registers(Mode mode) {
  machine::CoreRegisters registers;
  u64 in_save_area = 0;
  const Witness seen = watch(mode, {}, [&](Scene& scene) {
    scene.port.read_registers(0, registers);
    if (scene.vmcb.vmsa_pointer != 0) {
      in_save_area = read_quadword(
          scene.port, SystemPhysical(scene.vmcb.vmsa_pointer + offsetof(svm::Vmsa, r12)));
    }
  });
  EXPECT_TRUE(seen.untouched());
  const bool found = registers.gpr[r12] == held || in_save_area == held;
  return {found ? Outcome::open : Outcome::hidden,
          "R12 " + hex(registers.gpr[r12]) + ", VMSA " + hex(in_save_area)};
}

// What became of a store into page 0 that wanted `wanted` at its start.
Tried judge_write(const Witness& seen, bool stored, u64 error, u64 wanted) {
  if (!stored) {
    return {seen.untouched() && error == rmp_store_fault ? Outcome::refused : Outcome::garbled,
            "#PF " + hex(error)};
  }
  if (!seen.finished) {
    return {Outcome::detected, seen.end};
  }
  return {seen.pages[0].first == wanted ? Outcome::open : Outcome::garbled,
          "guest reads " + hex(seen.pages[0].first)};
}

struct Store {
  bool done = false;
  u64 error = 0;
};
Store store(machine::HostPort& port, SystemPhysical at, std::span<const u8> bytes) {
  const auto stored = port.store(at, bytes, PageSize::size_4k);
  return {stored.ok(), stored ? 0 : stored.error().error_code};
}

Tried overwrite(Mode mode) {
  Store stored;
  const Witness seen = watch(mode, {}, [&](Scene& scene) {
    std::array<u8, 16> bytes;
    bytes.fill(0x42);
    stored = store(scene.port, place(scene, page_0), bytes);
  });
  return judge_write(seen, stored.done, stored.error, forged);
}

Tried replay(Mode mode) {
  std::vector<u8> old(page_size);
  Store stored;
  const Witness seen = watch(
      mode, [&](Scene& scene) { (void)scene.port.load(place(scene, page_0), old).ok(); },
      [&](Scene& scene) { stored = store(scene.port, place(scene, page_0), old); });
  return judge_write(seen, stored.done, stored.error, pattern(7, 0));
}

Tried swap_pages(Mode mode) {
  Store stored;
  const Witness seen = watch(mode, {}, [&](Scene& scene) {
    std::vector<u8> zero(page_size);
    std::vector<u8> one(page_size);
    (void)scene.port.load(place(scene, page_0), zero).ok();
    (void)scene.port.load(place(scene, page_1), one).ok();
    stored = store(scene.port, place(scene, page_0), one);
    (void)store(scene.port, place(scene, page_1), zero);
  });
  return judge_write(seen, stored.done, stored.error, pattern(1, 0));
}

Tried copy_blocks(Mode mode) {
  Store stored;
  const Witness seen = watch(mode, {}, [&](Scene& scene) {
    std::array<u8, 16> block{};
    const SystemPhysical page = place(scene, page_0);
    (void)scene.port.load(page + 0x100, block).ok();
    stored = store(scene.port, page, block);
  });
  return judge_write(seen, stored.done, stored.error, pattern(0, 0x20));
}

// The nested leaf of page 0 leads to page 1, from now on.
void lead_elsewhere(Scene& scene) {
  (void)smash_and_split(scene, page_0);
  machine::HostPort& port = scene.port;
  const SystemPhysical other = place(scene, page_1);
  scene.entry.at_each_entry([&port, other](svm::Vmcb& vmcb) {
    const auto leaf = lab::find_leaf(port, SystemPhysical(vmcb.ncr3), page_0);
    if (leaf && !leaf->large) {
      write_quadword(port, leaf->entry, (leaf->value & ~pte::address_mask) | other.value());
    }
    vmcb.tlb_control = static_cast<u8>(svm::TlbControl::all);
  });
}

Tried remap(Mode mode) {
  const Witness seen = watch(mode, {}, lead_elsewhere);
  if (!seen.finished) {
    return {Outcome::detected, seen.end};
  }
  return {seen.pages[0].first == pattern(1, 0) ? Outcome::open : Outcome::garbled,
          "guest reads " + hex(seen.pages[0].first)};
}

// From the first port write on, both gPAs lead to one frame: what the guest then writes to page 0
// shows at page 1.
Tried alias(Mode mode) {
  const Witness seen = watch(mode, lead_elsewhere, {});
  if (!seen.finished) {
    return {Outcome::detected, seen.end};
  }
  return {seen.pages[1].first == pattern(0, 0) ? Outcome::open : Outcome::garbled,
          "page 1 reads " + hex(seen.pages[1].first)};
}

Tried change_registers(Mode mode) {
  Store stored{true, 0};
  const Witness seen = watch(mode, {}, [&](Scene& scene) {
    if (scene.vmcb.vmsa_pointer == 0) {
      // The honest host loads its own copy before VMRUN: the last word is at the entry.
      machine::HostPort& port = scene.port;
      scene.entry.at_next_entry([&port](svm::Vmcb&) {
        machine::CoreRegisters registers;
        port.read_registers(0, registers);
        registers.gpr[r12] = forged;
        port.write_registers(0, registers);
      });
      return;
    }
    std::array<u8, 8> bytes;
    bytes.fill(0x42);
    stored = store(scene.port, SystemPhysical(scene.vmcb.vmsa_pointer + offsetof(svm::Vmsa, r12)),
                   bytes);
  });
  if (!stored.done) {
    return {seen.untouched() ? Outcome::refused : Outcome::garbled, "#PF " + hex(stored.error)};
  }
  if (!seen.finished) {
    return {Outcome::detected, seen.end};
  }
  return {seen.reg == forged ? Outcome::open : Outcome::garbled, "R12 " + hex(seen.reg)};
}

Tried dma(Mode mode) {
  bool moved = false;
  usize logged = 0;
  const Witness seen = watch(mode, {}, [&](Scene& scene) {
    std::array<u8, 16> bytes;
    bytes.fill(0x42);
    moved = scene.port.dma_write(0x0100, place(scene, page_0), bytes);
    logged = scene.port.dma_faults().size();
  });
  if (!moved) {
    return {seen.untouched() && logged == 1 ? Outcome::refused : Outcome::garbled,
            "IOMMU event log: " + std::to_string(logged)};
  }
  return {seen.pages[0].first == forged ? Outcome::open : Outcome::garbled,
          "guest reads " + hex(seen.pages[0].first)};
}

Tried other_asid(Mode mode) {
  const Witness seen = watch(mode, {}, [](Scene& scene) {
    scene.entry.at_next_entry([](svm::Vmcb& vmcb) { vmcb.asid = vmcb.asid + 1; });
  });
  if (seen.untouched()) {
    return {Outcome::no_effect, "the ASID is a TLB tag"};
  }
  const bool refused = seen.end.find("VMRUN") != std::string::npos;
  return {refused ? Outcome::detected : Outcome::garbled, seen.end};
}

struct Row {
  const char* act;
  Tried (*run)(Mode);
  std::array<Outcome, 4> expected;  // none, sev, sev-es, snp
};

using enum Outcome;
constexpr Row rows[] = {
    {"read guest memory", read_memory, {open, hidden, hidden, hidden}},
    {"read guest registers", read_registers, {open, open, hidden, hidden}},
    {"overwrite guest memory", overwrite, {open, garbled, garbled, refused}},
    {"replay an old page", replay, {open, open, open, refused}},
    {"swap two ciphertext pages", swap_pages, {open, garbled, garbled, refused}},
    {"copy a ciphertext block within a page", copy_blocks, {open, garbled, garbled, refused}},
    {"remap a gPA", remap, {open, open, open, detected}},
    {"alias two gPAs to one frame", alias, {open, open, open, detected}},
    {"change registers at an exit", change_registers, {open, open, detected, refused}},
    {"DMA into the guest", dma, {open, garbled, garbled, refused}},
    {"run under another guest's ASID", other_asid, {no_effect, garbled, detected, detected}},
};

TEST(ModeTable, WhatEachModeStops) {
  constexpr std::array modes{Mode::plain, Mode::sev, Mode::sev_es, Mode::snp};
  constexpr std::array names{"none", "sev", "sev-es", "snp"};
  std::printf("%-40s %-8s %-10s %-10s %s\n", "act", "mode", "expected", "outcome", "seen");
  for (const Row& row : rows) {
    for (usize i = 0; i < modes.size(); ++i) {
      const Tried tried = row.run(modes[i]);
      std::printf("%-40s %-8s %-10s %-10s %s\n", row.act, names[i], name(row.expected[i]),
                  name(tried.outcome), tried.text.c_str());
      EXPECT_EQ(tried.outcome, row.expected[i]) << row.act << ", " << names[i];
    }
  }
}

TEST(ModeTable, AnHonestHostIsNotNoticed) {
  for (const Mode mode : {Mode::plain, Mode::sev, Mode::sev_es, Mode::snp}) {
    EXPECT_TRUE(watch(mode, {}, {}).untouched());
  }
}

}  // namespace
}  // namespace softsnp::end_to_end
