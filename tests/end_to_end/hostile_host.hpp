// Hostile hosts for the negative tests, out of lab/'s building blocks: a move at a known point of
// the guest's life, with what the honest hypervisor cannot undo on the way back into the guest.
#pragma once

#include <functional>
#include <memory>

#include "lab/act_at_port.hpp"

namespace softsnp::end_to_end {

// The I/O port that the sample guest's case "victim" writes to.
inline constexpr u16 victim_port = 0x99;

// Edits the VMCB in memory right before VMRUN: the hypervisor's own copy never sees it.
class EntryEditor final : public machine::WrappedPort {
 public:
  using Edit = std::function<void(svm::Vmcb&)>;
  explicit EntryEditor(machine::HostPort& inner) : WrappedPort(inner) {}
  void at_next_entry(Edit edit) { once_ = std::move(edit); }
  void at_each_entry(Edit edit) { always_ = std::move(edit); }
  Result<void, machine::HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                             u64 max_instructions) override;

 private:
  Edit once_, always_;
};

struct Scene {
  machine::HostPort& port;
  SystemPhysical vmcb_page;
  svm::Vmcb vmcb;
  EntryEditor& entry;

  SystemPhysical nested_cr3() const { return SystemPhysical(vmcb.ncr3); }
  std::optional<lab::NestedLeaf> leaf(GuestPhysical gpa) const {
    return lab::find_leaf(port, nested_cr3(), gpa);
  }
  Asid asid() const { return static_cast<Asid>(u32{vmcb.asid}); }
};

// One act at the guest's write to the victim port.
class HostileHost final : public machine::WrappedPort {
 public:
  HostileHost(machine::HostPort& inner, std::function<void(Scene&)> act);
  Result<void, machine::HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                             u64 max_instructions) override {
    return at_port_.vmrun(core, vmcb, max_instructions);
  }

 private:
  EntryEditor entry_;
  lab::ActAtPort at_port_;
};

// Makes the 2 MiB region of gpa 4 KiB pages in the RMP (PSMASH) and in the nested table, as a
// scheming host may; the leaf of gpa afterwards. Nothing if the tables do not map it.
std::optional<lab::NestedLeaf> smash_and_split(Scene& scene, GuestPhysical gpa);
// A nested table with 512 4 KiB leaves in place of a 2 MiB one.
void split_nested_leaf(Scene& scene, const lab::NestedLeaf& leaf);
void write_quadword(machine::HostPort& port, SystemPhysical at, u64 value);
u64 read_quadword(machine::HostPort& port, SystemPhysical at);
// The old translations are gone at the next entry.
void flush_at_entry(Scene& scene);

}  // namespace softsnp::end_to_end
