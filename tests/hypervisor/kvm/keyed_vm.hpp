// A VM whose guest is the test: it reads and writes its memory as hardware would do it for a guest,
// through the nested tables and with its key, on the real machine's memory.
#pragma once

#include <gtest/gtest.h>

#include <array>

#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/guest_memory.hpp"
#include "hypervisor/kvm/snp_guest.hpp"
#include "lab/nested_lookup.hpp"
#include "machine/machine.hpp"
#include "machine/memory/dram/dram.hpp"

namespace softsnp::kvm {

using PageBytes = std::array<u8, page_size>;

// A page that nobody writes twice.
inline PageBytes page_of(u64 value) {
  PageBytes bytes;
  for (usize i = 0; i < bytes.size(); i += 8) {
    const u64 word = (value + 1) * 0x9E3779B97F4A7C15 + i;
    std::copy_n(reinterpret_cast<const u8*>(&word), 8, &bytes[i]);
  }
  return bytes;
}

class KeyedVm {
 public:
  KeyedVm(machine::Machine& machine, host::HostKernel& host, const VmConfig& config, u32 asid)
      : machine_(machine),
        host_(host),
        type_(config.type),
        key_(config.type == VmType::plain ? memory::KeyId::none
                                          : memory::key_of(static_cast<Asid>(asid))),
        memory_(host, config, observer_, counters_) {
    memory_.set_asid(static_cast<Asid>(asid));
    if (key_ != memory::KeyId::none) {
      memory::MemoryKey key{};
      std::copy_n(page_of(asid).begin(), sizeof key.bytes, key.bytes);
      machine.dram().keys().install(key_, key);
    }
  }
  // Of an SNP VM: the firmware knows it, and can move and swap its pages. Its ASID is the host's
  // choice.
  Result<void, Error> launch() {
    snp_.emplace(host_, memory_);
    if (auto started = snp_->start({}); !started) {
      return started;
    }
    memory_.set_context(snp_->context());
    key_ = memory::key_of(snp_->asid());
    return snp_->finish({});
  }
  GuestMemory& memory() { return memory_; }
  VmType type() const { return type_; }

  // What the nested tables have for it; an MMIO entry is nothing.
  std::optional<lab::NestedLeaf> leaf(GuestPhysical gpa) {
    const auto found = lab::find_leaf(machine_.port(), memory_.root(), gpa);
    return found && found->page.value() < machine_.port().dram_bytes() ? found : std::nullopt;
  }
  // Where an access of the guest ends; faults are taken to the hypervisor. Nothing if it has no
  // answer.
  std::optional<SystemPhysical> translate(GuestPhysical gpa, bool write) {
    const bool enc = type_ == VmType::snp && memory_.is_private(gpa);
    for (int attempt = 0; attempt < 4; ++attempt) {
      const auto found = leaf(gpa);
      const bool writable = found && (found->value & x86::pte::write) != 0;
      if (found && (writable || !write)) {
        return found->page;
      }
      const u64 info = x86::pf_error::user | (found ? x86::pf_error::present : 0) |
                       (write ? x86::pf_error::write : 0) | (enc ? snp::npf::enc : 0);
      switch (memory_.handle_fault(gpa, info).resolution) {
        case NpfResolution::mapped_2m:
        case NpfResolution::mapped_4k:
          break;
        default:
          return std::nullopt;
      }
    }
    ADD_FAILURE() << "a fault that does not go away at " << gpa.value();
    return std::nullopt;
  }
  // Shared pages of an SNP guest have no key, all of an SEV guest's have one here.
  memory::KeyId key_at(GuestPhysical gpa) const {
    return type_ == VmType::snp && !memory_.is_private(gpa) ? memory::KeyId::none : key_;
  }
  bool write(GuestPhysical page, const PageBytes& bytes) {
    const auto at = translate(page, true);
    if (at) {
      machine_.dram().write(*at, key_at(page), bytes);
    }
    return at.has_value();
  }
  std::optional<PageBytes> read(GuestPhysical page) {
    const auto at = translate(page, false);
    if (!at) {
      return std::nullopt;
    }
    PageBytes bytes;
    machine_.dram().read(*at, key_at(page), bytes);
    return bytes;
  }

 private:
  machine::Machine& machine_;
  host::HostKernel& host_;
  VmType type_;
  memory::KeyId key_;
  Observer observer_;
  Counters counters_;
  GuestMemory memory_;
  std::optional<SnpGuest> snp_;  // goes before the memory
};

}  // namespace softsnp::kvm
