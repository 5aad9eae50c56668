// The host's misdeeds: the sample guest's case "victim" writes to a port, the host makes its move
// there, and the guest looks at its page again.
#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"
#include "tests/end_to_end/hostile_host.hpp"
#include "tests/end_to_end/negative_table.hpp"

namespace softsnp::end_to_end {
namespace {

namespace pte = x86::pte;
using vmm::OutcomeKind;

constexpr u64 secret = 0x1122334455667788;  // guest_cases.cpp, case_victim
constexpr u64 rmp_store_fault = 0x80000003;
constexpr const char* sees_its_own =
    "read after the host's move: no fault, value 0x1122334455667788";
constexpr const char* has_looked = "read after the host's move";

using Act = std::function<void(Scene&, GuestPhysical victim)>;

// Where the victim's page is, from an undisturbed run.
GuestPhysical victim_page() {
  static const u64 address = [] {
    GuestRun run(sample_case("victim"));
    run.run();
    const std::string line = line_with(run.output(), "page at 0x");
    const auto digits = line.find("0x");
    return digits == std::string::npos || !run.printed(sees_its_own)
               ? 0
               : std::stoull(line.substr(digits), nullptr, 16);
  }();
  return GuestPhysical(address);
}

// The victim under a host that acts; the run is over.
std::unique_ptr<GuestRun> attack(Act act) {
  GuestOptions options = sample_case("victim");
  options.trace = true;
  const GuestPhysical page = victim_page();
  options.host = [page, act = std::move(act)](machine::HostPort& honest) {
    return std::make_unique<HostileHost>(honest, [page, act](Scene& scene) { act(scene, page); });
  };
  auto run = std::make_unique<GuestRun>(std::move(options));
  run->run();
  return run;
}

// The guest notices nothing: the move had no effect on it.
bool guest_is_untouched(const GuestRun& run) {
  return run.outcome().kind == OutcomeKind::powered_off && run.printed(sees_its_own);
}

// The access cannot be completed: the run ends and says why, and nothing was disclosed.
Seen stopped_by(const GuestRun& run, const char* rule) {
  const bool ok = run.outcome().kind == OutcomeKind::no_progress && run.outcome().status == 5 &&
                  !run.printed(has_looked) && run.explained(rule) && victim_page().value() != 0;
  return {ending(run) + (run.explained(rule) ? std::string("; rule ") + rule : "; unexplained"),
          ok};
}

std::string hex_text(u64 value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

snp::RmpUpdate entry_of(Asid asid, GuestPhysical gpa) {
  snp::RmpUpdate value;
  value.gpa = gpa.value();
  value.assigned = 1;
  value.asid = number(asid);
  return value;
}

// What a store of one quadword by the host says; 0 if it went through.
u64 store_result(machine::HostPort& port, SystemPhysical at) {
  const u8 bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto done = port.store(at, bytes, PageSize::size_4k);
  return done ? 0 : done.error().error_code;
}

Seen host_write() {
  u64 result = 0;
  const auto run = attack([&](Scene& scene, GuestPhysical page) {
    if (const auto leaf = scene.leaf(page)) {
      result = store_result(scene.port, leaf->page);
    }
  });
  return {"#PF error code " + hex_text(result),
          result == rmp_store_fault && guest_is_untouched(*run)};
}

Seen host_read() {
  std::vector<u8> bytes(page_size);
  const auto run = attack([&](Scene& scene, GuestPhysical page) {
    if (const auto leaf = scene.leaf(page)) {
      (void)scene.port.load(leaf->page, bytes);
    }
  });
  // The page holds the secret and zeros: in the clear neither may appear, nor may equal
  // plaintexts look alike.
  const u64 first = load_le<u64>(bytes.data());
  const bool noise = !std::equal(bytes.begin() + 16, bytes.begin() + 32, bytes.begin() + 32);
  return {"first quadword " + hex_text(first),
          first != secret && first != 0 && noise && guest_is_untouched(*run)};
}

// The nested leaves of two private pages exchanged, again at each entry.
Seen page_swapped() {
  const auto run = attack([](Scene& scene, GuestPhysical page) {
    const auto first = smash_and_split(scene, page);
    const auto second = scene.leaf(page + page_size);
    if (!first || !second) {
      return;
    }
    machine::HostPort& port = scene.port;
    const auto exchange = [&port, page, one = first->page, two = second->page](svm::Vmcb& vmcb) {
      const auto put = [&](GuestPhysical gpa, SystemPhysical at) {
        const auto leaf = lab::find_leaf(port, SystemPhysical(vmcb.ncr3), gpa);
        if (leaf && !leaf->large) {
          write_quadword(port, leaf->entry, (leaf->value & ~pte::address_mask) | at.value());
        }
      };
      put(page, two);
      put(page + page_size, one);
      vmcb.tlb_control = static_cast<u8>(svm::TlbControl::all);
    };
    scene.entry.at_each_entry(exchange);
  });
  return stopped_by(*run, "Reverse-Map");
}

// A page of the host's own in the place of the guest's.
Seen page_replaced() {
  const auto run = attack([](Scene& scene, GuestPhysical page) {
    (void)smash_and_split(scene, page);
    machine::HostPort& port = scene.port;
    const SystemPhysical own(port.dram_bytes() - (u64{32} << 20));
    write_quadword(port, own, 0x4141414141414141);
    scene.entry.at_each_entry([&port, page, own](svm::Vmcb& vmcb) {
      const auto leaf = lab::find_leaf(port, SystemPhysical(vmcb.ncr3), page);
      if (leaf && !leaf->large) {
        write_quadword(port, leaf->entry, (leaf->value & ~pte::address_mask) | own.value());
      }
      vmcb.tlb_control = static_cast<u8>(svm::TlbControl::all);
    });
  });
  return stopped_by(*run, "Guest-Owned");
}

Seen wrong_asid() {
  const auto run = attack([](Scene& scene, GuestPhysical page) {
    if (const auto leaf = smash_and_split(scene, page)) {
      const auto other = static_cast<Asid>(number(scene.asid()) + 1);
      (void)scene.port.rmpupdate(leaf->page, entry_of(other, page));
    }
  });
  return stopped_by(*run, "Guest-Owned");
}

Seen wrong_gpa() {
  const auto run = attack([](Scene& scene, GuestPhysical page) {
    if (const auto leaf = smash_and_split(scene, page)) {
      (void)scene.port.rmpupdate(leaf->page, entry_of(scene.asid(), page + 0x100000));
    }
  });
  return stopped_by(*run, "Reverse-Map");
}

// Taken out of the RMP, rewritten, assigned again: Validated is clear.
Seen page_rewritten() {
  const auto run = attack([](Scene& scene, GuestPhysical page) {
    if (const auto leaf = smash_and_split(scene, page)) {
      (void)scene.port.rmpupdate(leaf->page, {});
      write_quadword(scene.port, leaf->page, 0x4141414141414141);
      (void)scene.port.rmpupdate(leaf->page, entry_of(scene.asid(), page));
    }
  });
  const std::string text = line_with(run->output(), has_looked);
  return {text, text.find("vector 29 error 0x404") != std::string::npos};
}

// The hypervisor dealt with a nested fault at the victim's page in that way.
bool resolved_by(const GuestRun& run, const char* resolution) {
  const std::string trace = run.trace();
  const std::string gpa = "\"gpa\":\"" + hex_text(victim_page().value()) + "\"";
  const std::string how = std::string("\"resolution\":\"") + resolution + "\"";
  for (usize at = 0; (at = trace.find(how, at)) != std::string::npos; ++at) {
    const usize line = trace.rfind('\n', at) + 1;
    if (trace.substr(line, at - line).find(gpa) != std::string::npos) {
      return true;
    }
  }
  return false;
}

bool large_in_rmp(machine::HostPort& port, SystemPhysical page) {
  snp::RmpUpdate entry;
  const auto read = port.rmpread(page.large_page(), entry);
  return read && *read == snp::RmpResult::success && entry.assigned != 0 &&
         (entry.page_size & 1) != 0;
}

// Both mismatches are faults that an honest hypervisor resolves: the guest keeps its data.
Seen smashed_behind_the_guest() {
  bool was_large = false;
  const auto run = attack([&](Scene& scene, GuestPhysical page) {
    const auto leaf = scene.leaf(page);
    was_large = leaf && leaf->large && large_in_rmp(scene.port, leaf->page);
    if (was_large) {
      (void)scene.port.psmash(leaf->page.large_page());
    }
  });
  return {was_large ? line_with(run->output(), has_looked) : "the page was not 2M before",
          was_large && guest_is_untouched(*run) && resolved_by(*run, "nested mapping split")};
}

Seen small_leaf_over_large_entry() {
  bool was_large = false;
  const auto run = attack([&](Scene& scene, GuestPhysical page) {
    const auto leaf = scene.leaf(page);
    was_large = leaf && leaf->large && large_in_rmp(scene.port, leaf->page);
    if (was_large) {
      split_nested_leaf(scene, *leaf);
    }
  });
  return {was_large ? line_with(run->output(), has_looked) : "the page was not 2M before",
          was_large && guest_is_untouched(*run) && resolved_by(*run, "RMP entry split")};
}

Seen vmsa_written() {
  u64 result = 0;
  const auto run = attack([&](Scene& scene, GuestPhysical) {
    const SystemPhysical vmsa(scene.vmcb.vmsa_pointer);
    result = store_result(scene.port, vmsa + offsetof(svm::Vmsa, rip));
  });
  return {"#PF error code " + hex_text(result),
          result == rmp_store_fault && guest_is_untouched(*run)};
}

Seen vmrun_with(const std::function<void(svm::Vmcb&, SystemPhysical page)>& edit,
                const char* rule) {
  const auto run = attack([edit](Scene& scene, GuestPhysical page) {
    const auto leaf = scene.leaf(page);
    const SystemPhysical at = leaf ? leaf->page : SystemPhysical();
    scene.entry.at_next_entry([edit, at](svm::Vmcb& vmcb) { edit(vmcb, at); });
  });
  const bool why = run->explained("VMRUN was refused") && run->explained(rule);
  return {ending(*run) + (why ? "" : "; unexplained"),
          run->outcome().kind == OutcomeKind::entry_refused && run->outcome().status == 4 &&
              !run->printed(has_looked) && why};
}

Seen vmsa_elsewhere() {
  return vmrun_with([](svm::Vmcb& vmcb, SystemPhysical page) { vmcb.vmsa_pointer = page.value(); },
                    "VMSA");
}
Seen vmsa_of_the_host() {
  return vmrun_with([](svm::Vmcb& vmcb, SystemPhysical) { vmcb.vmsa_pointer = u64{512} << 20; },
                    "");
}
Seen vmrun_with_other_asid() {
  return vmrun_with([](svm::Vmcb& vmcb, SystemPhysical) { vmcb.asid = vmcb.asid + 1; }, "");
}

// A host that changes one byte of the page at gPA 2 MiB before the firmware measures it.
class LaunchTamperer final : public machine::WrappedPort {
 public:
  using WrappedPort::WrappedPort;
  Result<snp::RmpResult, machine::HostException> rmpupdate(SystemPhysical page,
                                                           const snp::RmpUpdate& value) override {
    if (value.assigned != 0 && value.immutable != 0 && value.gpa == 0x200000) {
      u8 byte[1] = {};
      (void)inner_.load(page + 0x123, byte);
      byte[0] ^= 1;
      (void)inner_.store(page + 0x123, byte, PageSize::size_4k);
    }
    return inner_.rmpupdate(page, value);
  }
};

std::string digest_of(GuestOptions options) {
  options.append = "case=exit-code";
  GuestRun run(std::move(options));
  run.run();
  return run.launch_digest();
}

Seen compare_digests(GuestOptions changed) {
  const std::string honest = digest_of({});
  const std::string again = digest_of({});
  const std::string other = digest_of(std::move(changed));
  return {honest.substr(0, 12) + "... became " + other.substr(0, 12) + "...",
          honest.size() == 96 && honest == again && other.size() == 96 && honest != other};
}

Seen launch_changed_by_host() {
  GuestOptions options;
  options.host = [](machine::HostPort& honest) { return std::make_unique<LaunchTamperer>(honest); };
  return compare_digests(std::move(options));
}

Seen launch_changed_in_file() {
  const auto image = guest::sample_image();
  std::vector<u8> copy(image.begin(), image.end());
  const std::string_view banner = "softsnp sample guest";
  const auto at = std::search(copy.begin(), copy.end(), banner.begin(), banner.end());
  if (at == copy.end()) {
    return {"no banner in the image", false};
  }
  *at ^= 0x20;
  GuestOptions options;
  options.kernel = {"changed sample", copy};
  return compare_digests(std::move(options));
}

constexpr Negative cases[] = {
    {"host writes to a guest page", "#PF, error code 8000_0003h; the guest sees its data",
     host_write},
    {"host reads a private page", "ciphertext", host_read},
    {"page swapped under the guest", "#NPF, Reverse-Map; status 5, nothing disclosed",
     page_swapped},
    {"guest page replaced by one of the host's", "#NPF, Guest-Owned; status 5", page_replaced},
    {"page given to another ASID", "#NPF, Guest-Owned; status 5", wrong_asid},
    {"page assigned at another gPA", "#NPF, Reverse-Map; status 5", wrong_gpa},
    {"page taken, rewritten, given back", "#VC 404h in the guest", page_rewritten},
    {"PSMASH behind the guest (2M leaf, 4K entries)", "#NPF resolved by a split; data intact",
     smashed_behind_the_guest},
    {"4K leaf over a 2M RMP entry", "#NPF resolved by PSMASH; data intact",
     small_leaf_over_large_entry},
    {"host writes to the VMSA", "#PF, error code 8000_0003h; the guest goes on", vmsa_written},
    {"VMCB names a private page as VMSA", "VMRUN refused: status 4, rule VMSA", vmsa_elsewhere},
    {"VMCB names a page of the host's as VMSA", "VMRUN refused: status 4", vmsa_of_the_host},
    {"VMRUN of the VMSA under another ASID", "VMRUN refused: status 4", vmrun_with_other_asid},
    {"host changes a page before the launch", "another launch digest", launch_changed_by_host},
    {"launch with a changed kernel", "another launch digest", launch_changed_in_file},
};

}  // namespace

std::span<const Negative> host_misdeeds() {
  return cases;
}

}  // namespace softsnp::end_to_end
