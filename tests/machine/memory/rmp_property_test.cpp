// More than a million random operations on the RMP, each compared with the model of rmp_model.hpp:
// answer, entries as stored, counters, and that the invalidation log drops every verdict that a
// TLB could still hold.
#include "tests/machine/memory/rmp_property.hpp"

#include <iostream>

namespace softsnp::memory {
namespace {

constexpr Number operations = 1'500'000;

// Every row of every table must have been reached, or the run proves little.
constexpr const char* required[] = {"RMPUPDATE: SUCCESS",
                                    "RMPUPDATE: FAIL_INPUT",
                                    "RMPUPDATE: FAIL_PERMISSION",
                                    "RMPUPDATE: FAIL_INUSE",
                                    "RMPUPDATE: FAIL_OVERLAP",
                                    "PSMASH: SUCCESS",
                                    "PSMASH: FAIL_INPUT",
                                    "PSMASH: FAIL_PERMISSION",
                                    "PSMASH: FAIL_INUSE",
                                    "PSMASH: not eligible",
                                    "RMPREAD: SUCCESS",
                                    "RMPREAD: FAIL_INPUT",
                                    "RMPREAD: FAIL_PERMISSION",
                                    "PVALIDATE: SUCCESS",
                                    "PVALIDATE: no change",
                                    "PVALIDATE: FAIL_INPUT",
                                    "PVALIDATE: FAIL_SIZEMISMATCH",
                                    "PVALIDATE: RMP-Covered",
                                    "PVALIDATE: Guest-Owned",
                                    "PVALIDATE: Reverse-Map",
                                    "PVALIDATE: Mutable",
                                    "PVALIDATE: Page-Size",
                                    "PVALIDATE: Page-Size SIZEM",
                                    "RMPADJUST: SUCCESS",
                                    "RMPADJUST: FAIL_INPUT",
                                    "RMPADJUST: FAIL_PERMISSION",
                                    "RMPADJUST: FAIL_SIZEMISMATCH",
                                    "RMPADJUST: RMP-Covered",
                                    "RMPADJUST: Guest-Owned",
                                    "RMPADJUST: Reverse-Map",
                                    "RMPADJUST: Mutable",
                                    "RMPADJUST: Page-Size",
                                    "RMPADJUST: Page-Size SIZEM",
                                    "RMPADJUST: #VC Validated",
                                    "RMPQUERY: SUCCESS",
                                    "RMPQUERY: FAIL_PERMISSION",
                                    "RMPQUERY: RMP-Covered",
                                    "RMPQUERY: Guest-Owned",
                                    "RMPQUERY: Reverse-Map",
                                    "RMPQUERY: Mutable",
                                    "RMPQUERY: #VC Validated",
                                    "SNP guest access: allowed",
                                    "SNP guest access: Hypervisor-Owned",
                                    "SNP guest access: RMP-Covered",
                                    "SNP guest access: Guest-Owned",
                                    "SNP guest access: Reverse-Map",
                                    "SNP guest access: Mutable",
                                    "SNP guest access: Page-Size",
                                    "SNP guest access: Validated",
                                    "SNP guest access: VMPL",
                                    "host access: allowed",
                                    "host access: Hypervisor-Owned",
                                    "guest access: allowed",
                                    "guest access: Hypervisor-Owned",
                                    "device access: allowed",
                                    "device access: Hypervisor-Owned",
                                    "VMRUN, VMSA: allowed",
                                    "VMRUN, VMSA: RMP-Covered",
                                    "VMRUN, VMSA: Guest-Owned",
                                    "VMRUN, VMSA: Mutable",
                                    "VMRUN, VMSA: VMSA",
                                    "VMRUN, VMCB: allowed",
                                    "VMRUN, VMCB: Hypervisor-Owned",
                                    "firmware: wrote"};

class RmpOperations : public RmpProperty {
 public:
  void do_rmpupdate() {
    rmp_model::Operand in{some_gpa(), !random.one_in(3), random.one_in(3), random.one_in(6),
                          some_asid()};
    Number frame = some_frame();
    if (in.two_megabytes && !random.one_in(10)) frame -= frame % 512;
    const rmp_model::Page* page = model.page_of(frame);
    if (page != nullptr && random.one_in(3)) {  // the same mapping again, perhaps immutable
      in = {page->gpa, true, page->frames == 512, random.one_in(2), page->asid};
    } else if (!in.assigned && !random.one_in(10)) {
      in.immutable = false, in.asid = 0;
      if (page != nullptr && !random.one_in(4)) in.two_megabytes = page->frames == 512;
    }
    const Number asid = random.one_in(50) ? 1 : 0;
    run_rmpupdate(frame * page_size + (random.one_in(20) ? 0x10 : 0), in, asid);
  }
  // Reserved bits of the operand and low bits of the sPA are ignored.
  void run_rmpupdate(Number at, const rmp_model::Operand& in, Number asid) {
    snp::RmpUpdate value;
    value.gpa = in.gpa;
    value.assigned = static_cast<u8>((in.assigned ? 1 : 0) | (random.below(128) << 1));
    value.page_size = static_cast<u8>((in.two_megabytes ? 1 : 0) | (random.below(128) << 1));
    value.immutable = static_cast<u8>((in.immutable ? 1 : 0) | (random.below(128) << 1));
    value.reserved = static_cast<u8>(random.below(256));
    value.asid = static_cast<u32>(in.asid);
    const auto got = rmp.rmpupdate(SystemPhysical{at}, value, asid_of(asid));
    const Answer expected = model.rmpupdate(at, in, asid);
    compare("RMPUPDATE", words(got), expected, at / page_size);
    finish("RMPUPDATE", at / page_size, in.two_megabytes && expected == "SUCCESS");
  }
  void do_psmash() {
    Number frame = some_frame();
    if (!random.one_in(10)) frame -= frame % 512;
    const Number asid = random.one_in(50) ? 1 : 0;
    const Number at = frame * page_size + (random.one_in(50) ? 8 : 0);
    const Answer got = words(rmp.psmash(SystemPhysical{at}, asid_of(asid)));
    const Answer expected = model.psmash(at, asid);
    compare("PSMASH", got, expected, frame);
    finish("PSMASH", frame, expected == "SUCCESS");
  }
  void do_rmpread() {
    const Number frame = some_frame(), asid = random.one_in(50) ? 1 : 0;
    snp::RmpUpdate out;
    rmp_model::Operand model_out{};
    bool region_has_small = false;
    const Answer got = words(rmp.rmpread(spa(frame), asid_of(asid), out));
    const Answer expected = model.rmpread(frame, asid, model_out, region_has_small);
    compare("RMPREAD", got, expected, frame);
    if (expected == "SUCCESS") {
      EXPECT_EQ(out.gpa, model_out.gpa);
      EXPECT_EQ(out.assigned, model_out.assigned ? 1 : 0);
      EXPECT_EQ(out.page_size, (model_out.two_megabytes ? 1 : 0) | (region_has_small ? 2 : 0));
      EXPECT_EQ(out.immutable, model_out.immutable ? 1 : 0);
      EXPECT_EQ(out.asid, model_out.asid);
    }
  }
  void do_pvalidate() {
    const Caller by = some_caller();
    const bool want_2m = random.one_in(6) ? !by.nested_2m : by.nested_2m;
    const bool aligned = !random.one_in(20), validate = !random.one_in(3);
    const Answer got = words(rmp.pvalidate(page_for(by), size_of(want_2m), aligned, validate, 1));
    compare("PVALIDATE", got, model.pvalidate(by, want_2m, aligned, validate), by.frame);
    finish("PVALIDATE", by.frame, false);
  }
  void do_rmpadjust() {
    static constexpr unsigned masks[] = {0, 1, 2, 3, 4, 5, 7, 8, 15, 31, 0xFF};
    const Caller by = some_caller();
    const bool want_2m = random.one_in(6) ? !by.nested_2m : by.nested_2m;
    const bool aligned = !random.one_in(20), vmsa = random.one_in(3);
    const Number target = random.one_in(20) ? 4 + random.below(252) : 1 + random.below(3);
    const unsigned mask = random.pick(masks);
    const Answer got = words(rmp.rmpadjust(page_for(by), size_of(want_2m), aligned, target,
                                           static_cast<u8>(mask), vmsa, 1));
    compare("RMPADJUST", got, model.rmpadjust(by, want_2m, aligned, target, mask, vmsa), by.frame);
    finish("RMPADJUST", by.frame, false);
  }
  void do_rmpquery() {
    const Caller by = some_caller();
    const Number target = random.one_in(20) ? 4 + random.below(252) : random.below(4);
    RmpQueryOutput out;
    rmp_model::Page page;
    const Answer got = words(rmp.rmpquery(page_for(by), target, out));
    const Answer expected = model.rmpquery(by, target, page);
    compare("RMPQUERY", got, expected, by.frame);
    if (expected == "SUCCESS") {
      EXPECT_EQ(out.mask, page.masks[target]);
      EXPECT_EQ(out.vmsa, page.vmsa);
      EXPECT_EQ(out.size, size_of(page.frames == 512));
    }
  }
  void do_access() {
    static constexpr const char* askers[] = {"host access", "guest access", "SNP guest access",
                                             "device access"};
    const Demand d = some_demand();
    const AccessRequest request = request_for(d);
    const Rule got = rmp.check(request);
    compare(askers[d.who], words(got), model.access(d), d.at.frame);
    if (got == Rule::none) tlb[random.below(tlb_size)] = request;
  }
  void do_vmrun_checks() {
    const Caller by = some_caller();
    compare("VMRUN, VMSA", words(rmp.check_snp_vmsa(spa(by.frame), asid_of(by.asid))),
            model.vmsa_of(by.frame, by.asid), by.frame);
    const bool owned = !model.covered(by.frame) || !model.assigned(by.frame);
    compare("VMRUN, VMCB", words(rmp.check_host_page(spa(by.frame))),
            owned ? "allowed" : "Hypervisor-Owned", by.frame);
  }
  void do_use() {
    const Number frame = some_frame();
    if (model.running.size() < 2 && random.one_in(2)) {
      ++model.running[frame];
      rmp.begin_use(spa(frame));
    } else if (!model.running.empty()) {
      const auto mark = model.running.begin();
      rmp.end_use(spa(mark->first));
      if (--mark->second == 0) model.running.erase(mark);
    }
  }
  // The firmware moves a page on: reclaim, launch, HV-Fixed, lock.
  void do_firmware() {
    const Number frame = some_frame();
    if (frame >= frame_count) return;
    auto it = model.pages.find(frame);
    if (it == model.pages.end()) {
      if (model.page_of(frame) != nullptr || !random.one_in(4)) return;
      rmp_model::Page fixed;
      fixed.assigned = false, fixed.immutable = true;
      it = model.pages.emplace(frame, fixed).first;
    } else if (!it->second.assigned) {
      model.pages.erase(it);
      rmp.write_page(spa(frame), PageSize::size_4k, RmpEntry{}, firmware());
      finish("firmware", frame, false);
      return;
    } else {
      rmp_model::Page& page = it->second;
      page.immutable = random.one_in(6);
      page.validated = page.asid != 0 && random.one_in(2);
      page.vmsa = random.one_in(8);
      page.locked = page.immutable ? random.one_in(2) : random.one_in(200);
      for (unsigned i = 1; i < 4; ++i) page.masks[i] = static_cast<unsigned>(random.below(32));
    }
    const PageSize size = size_of(it->second.frames == 512);
    RmpEntry entry = expected_entry(frame);
    entry.set_sub_page_count(random.below(512));
    rmp.write_page(spa(frame), size, entry, firmware());
    ++seen["firmware: wrote"];
    finish("firmware", frame, size == PageSize::size_2m);
  }

  // Small pages, locks and marks choke a region with time: the firmware gives it back as a whole,
  // and often the hypervisor makes a 2M page of it.
  void do_fresh_region() {
    if (!random.one_in(8)) return;
    const Number first = random.below(4) * 512;
    for (Number frame = first; frame < first + 512; ++frame) {
      const auto it = model.pages.find(frame);
      if (it != model.pages.end()) {
        rmp.write_page(spa(frame), size_of(it->second.frames == 512), RmpEntry{}, firmware());
        model.pages.erase(it);
      }
    }
    const rmp_model::Operand in{some_gpa() & mask_bits(50, 21), true, true, random.one_in(10),
                                1 + random.below(3)};
    if (!random.one_in(4)) run_rmpupdate(first * page_size, in, 0);
    finish("fresh region", first, true);
  }
};

TEST_F(RmpOperations, random_operations_agree_with_the_model) {
  using Operation = void (RmpOperations::*)();
  static constexpr Operation choices[] = {
      &RmpOperations::do_rmpupdate, &RmpOperations::do_rmpupdate,
      &RmpOperations::do_rmpupdate, &RmpOperations::do_pvalidate,
      &RmpOperations::do_pvalidate, &RmpOperations::do_rmpadjust,
      &RmpOperations::do_rmpadjust, &RmpOperations::do_rmpquery,
      &RmpOperations::do_rmpread,   &RmpOperations::do_access,
      &RmpOperations::do_access,    &RmpOperations::do_access,
      &RmpOperations::do_access,    &RmpOperations::do_access,
      &RmpOperations::do_access,    &RmpOperations::do_vmrun_checks,
      &RmpOperations::do_use,       &RmpOperations::do_firmware,
      &RmpOperations::do_psmash,    &RmpOperations::do_fresh_region,
  };
  log_read = dram.log().number();
  for (done = 0; done < operations && !HasFailure(); ++done) {
    (this->*random.pick(choices))();
    if (done % 256 == 0) compare_counters();
    if (done % 16384 == 0) {
      for (Number region = 0; region < 4; ++region) compare_region("sweep", region * 512);
    }
  }
  for (const auto& [outcome, count] : seen) {
    std::cout << "  " << outcome << " x " << count << "\n";
  }
  std::cout << "RMP operations compared with the model: " << done << "\n";
  ASSERT_GE(done, 1'000'000u);
  for (const char* must : required) {
    EXPECT_GE(seen[must], 20u) << must << " was hardly reached";
  }
}

}  // namespace
}  // namespace softsnp::memory
