// A host with RAM blocks and VMs of three modes on the real machine, and a model that knows what
// guests must find: for the property test of memory slots, pins and page moves.
#pragma once

#include <memory>
#include <random>

#include "hypervisor/kvm/error.hpp"
#include "machine/port/wrapped_port.hpp"
#include "tests/hypervisor/kvm/keyed_vm.hpp"

namespace softsnp::kvm {

// RMPUPDATE and PSMASH fail at random: for a moment, as when another processor has the entry, or,
// if wanted, for good.
class FaultyPort final : public machine::WrappedPort {
 public:
  FaultyPort(machine::HostPort& inner, u64 seed, bool for_good)
      : WrappedPort(inner), random_(seed), for_good_(for_good) {}
  Result<snp::RmpResult, machine::HostException> rmpupdate(SystemPhysical page,
                                                           const snp::RmpUpdate& value) override {
    const auto failure = fail();
    return failure ? Result<snp::RmpResult, machine::HostException>(*failure)
                   : inner_.rmpupdate(page, value);
  }
  Result<snp::RmpResult, machine::HostException> psmash(SystemPhysical page) override {
    const auto failure = fail();
    return failure ? Result<snp::RmpResult, machine::HostException>(*failure) : inner_.psmash(page);
  }

  bool armed = false;
  u64 failures = 0;

 private:
  std::optional<snp::RmpResult> fail() {
    if (!armed || in_a_row_ == 8 || random_() % 4 != 0) {
      in_a_row_ = 0;
      return std::nullopt;
    }
    ++failures;
    if (for_good_ && random_() % 4 == 0) {
      return snp::RmpResult::fail_permission;
    }
    ++in_a_row_;
    return snp::RmpResult::fail_inuse;
  }

  std::mt19937_64 random_;
  bool for_good_;
  unsigned in_a_row_ = 0;  // a caller that retries gets there
};

class FaultyMemory final : public host::AllocationGate {
 public:
  explicit FaultyMemory(u64 seed) : random_(seed) {}
  bool allows(PageSize) override {
    const bool allowed = !armed || random_() % 6 != 0;
    failures += allowed ? 0 : 1;
    return allowed;
  }
  bool armed = false;
  u64 failures = 0;

 private:
  std::mt19937_64 random_;
};

// One page of a RAM block as long as its contents live.
struct ModelPage {
  struct Written {
    u64 value = 0;
    memory::KeyId key = memory::KeyId::none;
    SystemPhysical at;
  };
  std::optional<Written> contents;  // none: zeros
  u32 pins = 0;
  SystemPhysical pinned_at;
};

struct ModelBlock {
  HostVirtual first;
  std::vector<std::shared_ptr<ModelPage>> pages;
};

struct ModelRegion {
  HostVirtual first;
  u64 bytes = 0;
  std::vector<std::shared_ptr<ModelPage>> pages;
};

struct ModelVm {
  std::unique_ptr<KeyedVm> vm;
  u32 memfd = 0;
  std::map<u32, UserMemoryRegion> slots;
  std::vector<ModelRegion> regions;
  std::map<u64, u64> private_values;  // by gPA

  const UserMemoryRegion* slot_at(u64 gpa) const {
    for (const auto& [id, slot] : slots) {
      if (gpa >= slot.gpa.value() && gpa - slot.gpa.value() < slot.size) {
        return &slot;
      }
    }
    return nullptr;
  }
};

class MemoryWorld {
 public:
  static constexpr u64 mib = u64{1} << 20;
  static constexpr u64 guest_bytes = 6 * mib;  // of guest-physical addresses in use
  static constexpr u64 block_bytes = 4 * mib;

  MemoryWorld(u64 seed, bool for_good);
  // Every VM and every block goes.
  void end();
  // One random act, and what must hold after it.
  void step();
  // All that guests can see.
  void check_all();

  machine::Machine machine;
  FaultyPort port;
  FaultyMemory gate;
  host::HostKernel host;
  u64 free_before = 0, assigned_before = 0;
  // Pages found by check_all(), or it would prove nothing.
  struct Seen {
    u64 shared = 0, keyed = 0, noise = 0, private_pages = 0;
  } seen;
  // By the firmware; refusals are failures of memory or of the RMP.
  struct PrivateMoves {
    u64 moved = 0, swapped_out = 0, swapped_in = 0, refused = 0;
  } private_moves;

 private:
  u64 pick(u64 below) { return random_() % below; }
  u64 pick_size();
  u64 pick_gpa(const ModelVm& vm, u64 size);
  void act();
  void fresh_vm(ModelVm& vm, VmType type);
  void destroy(ModelVm& vm);
  void map_block();
  void unmap_block();
  void set_slot(ModelVm& vm);
  void move_slot(ModelVm& vm);
  void delete_slot(ModelVm& vm);
  void add_region(ModelVm& vm);
  void drop_region(ModelVm& vm);
  void convert(ModelVm& vm);
  void write(ModelVm& vm);
  void move_pages();
  void move_private(ModelVm& vm);
  std::shared_ptr<ModelPage>* page_at(HostVirtual at);
  void discard(HostVirtual first, u64 bytes);
  void unpin(ModelRegion& region);
  void check_pins();
  void check_page(ModelVm& vm, u64 gpa);
  void check_shared(ModelVm& vm, u64 gpa, const ModelPage& page, HostVirtual at);

  std::mt19937_64 random_;
  std::vector<ModelBlock> blocks_;
  std::array<ModelVm, 3> vms_;
  u64 pinned_ = 0;
  u64 next_value_ = 0;
  u32 next_asid_ = 300;  // SEV's; those of SNP VMs are the host's
};

}  // namespace softsnp::kvm
