// What the random RMP test stands on: choosing operands near what is really there, translating them
// for the RMP and for the model, and comparing answers, stored entries, counters and the
// invalidation log.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <sstream>
#include <string>

#include "machine/memory/rmp/describe.hpp"
#include "tests/machine/memory/rmp_fixture.hpp"
#include "tests/machine/memory/rmp_model.hpp"

namespace softsnp::memory {

using rmp_model::Answer;
using rmp_model::Caller;
using rmp_model::Demand;
using rmp_model::Model;
using rmp_model::Number;
using snp::RmpEntry;

inline constexpr Number frame_count = covered_bytes / page_size;

class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 below(u64 limit) {
    state_ += 0x9E3779B97F4A7C15;
    u64 z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return (z ^ (z >> 31)) % limit;
  }
  bool one_in(u64 n) { return below(n) == 0; }
  template <class T, usize n>
  T pick(const T (&from)[n]) {
    return from[below(n)];
  }

 private:
  u64 state_;
};

inline Answer words(const GuestRmpOutcome& out) {
  if (out.denied == Rule::validated) return "#VC Validated";
  if (out.denied == Rule::page_size && out.sizem) return "Page-Size SIZEM";
  if (out.denied != Rule::none) return name(out.denied);
  return out.carry ? "no change" : name(out.result);
}
inline Answer words(snp::RmpResult result) {
  return result == snp::RmpResult::fail_not_eligible ? "not eligible" : name(result);
}
inline Answer words(Rule rule) {
  return rule == Rule::none ? "allowed" : name(rule);
}

class RmpProperty : public RmpTest {
 public:
  // ---- choosing
  Number some_frame() {
    static constexpr Number favourites[] = {0, 0, 0, 1, 2, 3, 5, 510, 511};
    const Number region = random.one_in(40) ? 4 : random.below(4);
    const Number inside = random.one_in(8) ? random.below(512) : random.pick(favourites);
    return region * 512 + inside;
  }
  Number some_asid() {
    static constexpr Number asids[] = {0, 1, 1, 2, 2, 3};
    return random.one_in(60) ? Number{1007} : random.pick(asids);
  }
  Number some_gpa() {
    static constexpr Number gpas[] = {0, 0x200000, 0x400000, 0x7FFFF000, 0xFFFFFFFFF000};
    const Number gpa = random.pick(gpas) + (random.one_in(3) ? random.below(512) * 4096 : 0);
    return random.one_in(80) ? gpa | (1ull << 51) : gpa + (random.one_in(20) ? 0x123 : 0);
  }
  // Mostly what the page really is, sometimes one thing off.
  Caller some_caller() {
    Caller by{random.below(4), random.one_in(2) ? 0 : random.below(4), some_frame(), 0,
              random.one_in(2)};
    by.gpa = some_gpa() & ~u64{0xFFF} & mask_bits(50, 0);
    if (const rmp_model::Page* page = model.page_of(by.frame); page != nullptr) {
      const Number offset = page->frames == 1 ? 0 : by.frame % 512 * 4096;
      if (!random.one_in(8)) by.asid = page->asid;
      if (!random.one_in(8)) by.gpa = page->gpa + offset;
      if (!random.one_in(8)) by.nested_2m = page->frames == 512;
    }
    return by;
  }
  Demand some_demand() {
    static constexpr Demand::Who whos[] = {Demand::host,      Demand::guest,     Demand::device,
                                           Demand::snp_guest, Demand::snp_guest, Demand::snp_guest};
    static constexpr Demand::What whats[] = {Demand::read, Demand::write, Demand::fetch,
                                             Demand::walk};
    return {random.pick(whos), random.pick(whats), !random.one_in(3), random.one_in(2),
            some_caller()};
  }

  // ---- translating
  static SystemPhysical spa(Number frame) { return SystemPhysical{frame * page_size}; }
  static PageSize size_of(bool two_megabytes) {
    return two_megabytes ? PageSize::size_2m : PageSize::size_4k;
  }
  static Asid asid_of(Number asid) { return static_cast<Asid>(asid); }
  static GuestPage page_for(const Caller& by) {
    const Asker asker{AskerKind::snp_guest, asid_of(by.asid), static_cast<Vmpl>(by.vmpl)};
    return {asker, spa(by.frame), GuestPhysical{by.gpa}, size_of(by.nested_2m)};
  }
  static AccessRequest request_for(const Demand& d) {
    static constexpr AskerKind kinds[] = {AskerKind::host, AskerKind::guest, AskerKind::snp_guest,
                                          AskerKind::device};
    static constexpr AccessKind accesses[] = {AccessKind::read, AccessKind::write,
                                              AccessKind::fetch, AccessKind::table_walk};
    AccessRequest request;
    request.asker = page_for(d.at).asker;
    request.asker.kind = kinds[d.who];
    request.kind = accesses[d.what];
    request.encrypted = d.c_bit;
    request.user = d.user;
    request.spa = spa(d.at.frame);
    request.gpa = GuestPhysical{d.at.gpa};
    request.mapping_size = size_of(d.at.nested_2m);
    return request;
  }
  // What the model says must be stored for a frame (hardware sheet 3.1).
  RmpEntry expected_entry(Number frame) const {
    RmpEntry entry;
    const auto own = model.pages.find(frame);
    if (own != model.pages.end()) {
      const rmp_model::Page& page = own->second;
      entry.low = (page.assigned ? 1u : 0u) | (page.frames == 512 ? 2u : 0u) |
                  (page.immutable ? 4u : 0u) | page.gpa | page.asid << 51 |
                  (page.vmsa ? 1ull << 61 : 0) | (page.validated ? 1ull << 62 : 0) |
                  (page.locked ? 1ull << 63 : 0);
      for (unsigned i = 0; i < 4; ++i) entry.high |= u64{page.masks[i]} << (8 * i);
    } else if (model.assigned(frame)) {
      entry.low = 1;  // the tail of a 2M page
    }
    if (frame % 512 == 0 && (own == model.pages.end() || own->second.frames == 1)) {
      u64 tails = 0;
      for (auto it = model.pages.upper_bound(frame);
           it != model.pages.end() && it->first < frame + 512; ++it) {
        tails += it->second.assigned ? 1 : 0;
      }
      entry.low |= tails << 3;
    }
    return entry;
  }

  // ---- comparing
  void compare(const char* operation, Answer got, Answer expected, Number frame) {
    ++seen[std::string(operation) + ": " + std::string(expected)];
    if (got != expected) {
      ADD_FAILURE() << "operation " << done << " " << operation << " on " << place(frame)
                    << ": the RMP answers \"" << got << "\", the model \"" << expected << "\"";
    }
  }
  std::string place(Number frame) const {
    std::ostringstream text;
    text << "region " << frame / 512 << " page " << frame % 512;
    if (rmp.covered(spa(frame))) text << " [" << describe(rmp.effective_entry(spa(frame))) << "]";
    return text.str();
  }
  void compare_entry(const char* operation, Number frame) {
    if (frame >= frame_count) return;
    const RmpEntry got = rmp.entry(spa(frame)), expected = expected_entry(frame);
    if (got != expected) {
      ADD_FAILURE() << "operation " << done << " " << operation << ", " << place(frame)
                    << ": stored {" << describe(got) << "}, the model expects {"
                    << describe(expected) << "}";
    }
  }
  void compare_region(const char* operation, Number frame) {
    for (Number i = 0; i < 512; ++i) compare_entry(operation, frame - frame % 512 + i);
  }
  void compare_counters() {
    for (Number asid = 1; asid < 5; ++asid) {
      EXPECT_EQ(rmp.assigned_pages(asid_of(asid)), model.assigned_to(asid)) << "ASID " << asid;
    }
  }

  // After each change: entries, and verdicts that a core may have cached.
  void finish(const char* operation, Number frame, bool whole_region) {
    if (whole_region) {
      compare_region(operation, frame);
    } else {
      compare_entry(operation, frame);
      compare_entry(operation, frame - frame % 512);
    }
    drop_logged();
    for (const auto& cached : tlb) {
      if (cached.has_value() && rmp.check(*cached) != Rule::none) {
        ADD_FAILURE() << "operation " << done << " " << operation << " on " << place(frame)
                      << ": a cached verdict went stale unlogged: " << name(cached->asker.kind)
                      << " " << name(cached->kind) << " of " << place(cached->spa.page_number());
      }
    }
  }
  void drop_logged() {
    const InvalidationLog& log = dram.log();
    if (!log.holds_since(log_read)) {
      tlb.fill(std::nullopt);
      log_read = log.number();
    }
    for (; log_read < log.number(); ++log_read) {
      for (auto& cached : tlb) {
        if (cached.has_value() && log.at(log_read).covers(cached->spa)) cached.reset();
      }
    }
  }

  static constexpr usize tlb_size = 32;
  Random random{2024};
  Model model{frame_count};
  std::array<std::optional<AccessRequest>, tlb_size> tlb;
  u64 log_read = 0;
  Number done = 0;
  std::map<std::string, Number> seen;
};

}  // namespace softsnp::memory
