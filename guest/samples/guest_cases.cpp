#include "guest/samples/guest_cases.hpp"

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/snp/rmp.hpp"
#include "guest/runtime/console.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/msr_protocol.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/samples/guest_probe.hpp"
#include "guest/samples/guest_state.hpp"

extern "C" const char guest_image_end[];  // sample.ld

namespace softsnp::guest {
namespace {

using ghcb::PageOperation;

// Together: tests know that the small pages lie behind the large one (at 6 MiB).
struct {
  alignas(large_page_size) volatile u64 large[large_page_size / 8];
  alignas(page_size) volatile u64 small[2][page_size / 8];
} areas;
constexpr auto& large_area = areas.large;
constexpr auto& area = areas.small;

u64 at(const volatile void* p) {
  return reinterpret_cast<u64>(p);
}

void report(const char* what, const ProbeResult& result) {
  print("  ", what, ": ");
  if (result.faulted) {
    print("vector ", result.vector, " error ", Hex{result.error}, " address ", Hex{result.address},
          "\n");
  } else {
    print("no fault, value ", Hex{result.value}, "\n");
  }
}

void report(const char* what, RmpOutcome outcome) {
  print("  ", what, ": EAX ", u64{outcome.result}, " CF ", u64{outcome.unchanged}, "\n");
}

void make_shared(volatile void* page) {
  pvalidate(page, false, false);
  change_page_state(at(page), false, PageOperation::make_shared);
  set_encrypted(page, false);
}

void make_private(volatile void* page) {
  set_encrypted(page, true);
  change_page_state(at(page), false, PageOperation::make_private);
  pvalidate(page, false, true);
}

void case_not_validated() {
  area[0][0] = 1;
  report("PVALIDATE rescind", pvalidate(area[0], false, false));
  report("read of the rescinded page", probe_read(area[0]));
  report("write to the rescinded page", probe_write(area[0], 7));
}

void case_not_validated_unhandled() {
  pvalidate(area[0], false, false);
  area[0][0] = 1;
}

void case_double_validate() {
  report("PVALIDATE of a validated page", pvalidate(area[0], false, true));
  report("PVALIDATE rescind", pvalidate(area[0], false, false));
  report("PVALIDATE rescind again", pvalidate(area[0], false, false));
}

void case_size_mismatch() {
  // The 2 MiB area: its RMP entry is 2M if the launch made it so; a 4K request smashes it.
  report("PVALIDATE 2M of 4K pages", pvalidate(large_area, true, true));
  report("PVALIDATE 2M misaligned", pvalidate(area[1], true, true));
}

void case_rmpupdate_in_guest() {
  const snp::RmpUpdate entry{};
  print("  RMPUPDATE in a guest: EAX ", u64{rmpupdate(0x1000, &entry)}, "\n");
}

void case_rmpadjust() {
  print("  RMPADJUST VMPL1 read: EAX ", u64{rmpadjust(area[0], false, 1, 1, false)}, "\n");
  print("  RMPADJUST own level: EAX ", u64{rmpadjust(area[0], false, 0, 1, false)}, "\n");
  print("  RMPADJUST level 9: EAX ", u64{rmpadjust(area[0], false, 9, 1, false)}, "\n");
}

void case_private_without_validate() {
  make_shared(area[0]);
  set_encrypted(area[0], true);
  change_page_state(at(area[0]), false, PageOperation::make_private);
  report("read before PVALIDATE", probe_read(area[0]));
}

void case_ghcb_not_shared() {
  // Points the page protocol at a private page: the host sees ciphertext.
  wrmsr(x86::msr::ghcb, at(area[1]));
  vmgexit();
  print("  still here\n");
}

void case_ghcb_unregistered() {
  make_shared(area[1]);
  wrmsr(x86::msr::ghcb, at(area[1]));
  vmgexit();
  print("  still here\n");
}

void case_terminate() {
  terminate(processor(), ghcb::TerminationReason{1, 2});
}

void case_bad_requests() {
  ghcb().begin();
  Reply reply = ghcb().exit(0x12345678, 0, 0);
  print("  unknown event: info1 ", reply.info1, " info2 ", reply.info2, "\n");
  ghcb().begin();
  reply = ghcb().exit(0x72, 0, 0);
  print("  CPUID without inputs: info1 ", reply.info1, " info2 ", reply.info2, "\n");
  ghcb().begin();
  ghcb().set(ghcb::field::sw_scratch, 0x1000);
  reply = ghcb().exit(0x80000010, 0, 0);
  print("  scratch outside the GHCB: info1 ", reply.info1, " info2 ", reply.info2, "\n");
  ghcb().begin();
  ghcb().page().usage = 7;
  reply = ghcb().exit(0x72, 0, 0);
  ghcb().page().usage = 0;  // printing needs the GHCB
  print("  unknown usage: info1 ", reply.info1, " info2 ", reply.info2, "\n");
  print("  unknown MSR code: ", Hex{MsrProtocol(processor()).ask(0xABC)}, "\n");
  print("  misaligned PSC: ", Hex{change_page_state(0x201000, true, PageOperation::make_shared)},
        "\n");
}

void case_triple_fault() {
  const struct __attribute__((packed)) {
    u16 limit;
    u64 base;
  } none{0, 0};
  asm volatile("lidt %0; int3" : : "m"(none));
}

void case_halt() {
  halt_forever();
}

void case_spin() {
  for (;;) {
    asm volatile("pause");
  }
}

void case_exit_code() {
  out8(0xF4, 0x21);
}

// Waits for the host's move: the negative tests change something behind the guest's back at the
// exit of this port write, then the guest looks.
void case_victim() {
  area[0][0] = 0x1122334455667788;
  print("  page at ", Hex{at(area[0])}, "\n");
  out8(0x99, 1);
  report("read after the host's move", probe_read(area[0]));
  report("write after the host's move", probe_write(area[0], 5));
}

u64 pattern(unsigned page, unsigned index) {
  return 0x1122334455667700 + 0x10000 * page + index;
}

void report_page(const char* what, unsigned page) {
  u64 changed = 0;
  for (unsigned i = 0; i < 512; ++i) {
    changed += area[page][i] != pattern(page, i) ? 1 : 0;
  }
  print("  ", what, ": changed ", changed, ", first ", Hex{area[page][0]}, "\n");
}

// For what a host may do in each mode: two pages of known content, a first version of one of them,
// and a register, around two port writes at which the host makes its move.
void case_witness() {
  for (unsigned i = 0; i < 512; ++i) {
    area[0][i] = pattern(7, i);
    area[1][i] = pattern(1, i);
  }
  print("  pages at ", Hex{at(area[0])}, " and ", Hex{at(area[1])}, "\n");
  out8(0x98, 1);
  for (unsigned i = 0; i < 512; ++i) {
    area[0][i] = pattern(0, i);
  }
  u64 held = 0x5EC2E75EC2E75EC2;
  asm volatile("mov %0, %%r12; mov $1, %%al; outb %%al, $0x99; mov %%r12, %0"
               : "+r"(held)
               :
               : "rax", "r12", "memory");
  print("  register ", Hex{held}, "\n");
  report_page("page 0", 0);
  report_page("page 1", 1);
}

// What somebody put into the first page before the guest began.
void case_secret() {
  print("  page at ", Hex{at(area[0])}, ": ", Hex{area[0][0]}, " ", Hex{area[0][1]}, "\n");
}

void case_page_state_rate() {
  for (unsigned i = 0; i < rounds::page_state; ++i) {
    pvalidate(area[0], false, false);
    change_page_state(at(area[0]), false, PageOperation::make_shared);
    change_page_state(at(area[0]), false, PageOperation::make_private);
    pvalidate(area[0], false, true);
  }
}

void case_page_state_rate_2m() {
  for (unsigned i = 0; i < rounds::page_state_2m; ++i) {
    pvalidate(large_area, true, false);
    change_page_state(at(large_area), true, PageOperation::make_shared);
    change_page_state(at(large_area), true, PageOperation::make_private);
    pvalidate(large_area, true, true);
  }
}

void case_vmgexit_rate() {
  for (unsigned i = 0; i < rounds::vmgexit; ++i) {
    MsrProtocol(processor()).ask(encode(ghcb::FeaturesRequest{}));
  }
}

void case_vc_rate() {
  for (unsigned i = 0; i < rounds::vc; ++i) {
    in8(0x99);
  }
}

// #VC 404h, handled in the guest alone.
void case_vc_without_exit_rate() {
  pvalidate(area[0], false, false);
  u64 faults = 0;
  for (unsigned i = 0; i < rounds::vc_without_exit; ++i) {
    faults += probe_read(area[0]).faulted ? 1 : 0;
  }
  print("  #VC: ", faults, "\n");
}

// Pages of the 16 MiB behind the sample go from private to shared and back in random order, and
// each is written after its move; in the end all must hold what was written last.
void case_random_conversions() {
  constexpr u64 pages = (u64{16} << 20) / page_size;
  const u64 first = align_up(at(guest_image_end), large_page_size);
  static bool is_shared[pages];
  static u64 written[pages];
  for (unsigned round = 1; round <= rounds::random_conversions; ++round) {
    const u64 index = rdrand() % pages;
    auto* const page = reinterpret_cast<volatile u64*>(first + index * page_size);
    if (is_shared[index]) {
      make_private(page);
    } else {
      make_shared(page);
    }
    is_shared[index] = !is_shared[index];
    page[index % 512] = written[index] = round;
  }
  u64 wrong = 0;
  for (u64 index = 0; index < pages; ++index) {
    const auto* const page = reinterpret_cast<volatile u64*>(first + index * page_size);
    wrong += written[index] != 0 && page[index % 512] != written[index] ? 1 : 0;
  }
  print("  pages that lost their content: ", wrong, "\n");
}

// Goes over the 8 MiB behind the sample again and again: looks for what it wrote in the round
// before, and writes. Always two pages are the same. What is there at first is nobody's promise.
void case_memory_patrol() {
  constexpr u64 pages = (u64{8} << 20) / page_size;
  const u64 first = align_up(at(guest_image_end), large_page_size);
  u64 wrong = 0;
  for (u64 round = 1; round <= rounds::patrol; ++round) {
    for (u64 index = 0; index < pages; ++index) {
      auto* const page = reinterpret_cast<volatile u64*>(first + index * page_size);
      wrong += round > 1 && page[index / 2 % 512] != round - 1 ? 1 : 0;
      page[index / 2 % 512] = round;
    }
  }
  print("  pages that lost their content: ", wrong, "\n");
}

constexpr Case all[] = {
    {"not-validated", case_not_validated},
    {"not-validated-unhandled", case_not_validated_unhandled},
    {"double-validate", case_double_validate},
    {"size-mismatch", case_size_mismatch},
    {"rmpupdate-in-guest", case_rmpupdate_in_guest},
    {"rmpadjust", case_rmpadjust},
    {"private-without-validate", case_private_without_validate},
    {"ghcb-not-shared", case_ghcb_not_shared},
    {"ghcb-unregistered", case_ghcb_unregistered},
    {"terminate", case_terminate},
    {"bad-requests", case_bad_requests},
    {"triple-fault", case_triple_fault},
    {"halt", case_halt},
    {"spin", case_spin},
    {"exit-code", case_exit_code},
    {"victim", case_victim},
    {"witness", case_witness},
    {"secret", case_secret},
    {"page-state-rate", case_page_state_rate},
    {"page-state-rate-2m", case_page_state_rate_2m},
    {"vmgexit-rate", case_vmgexit_rate},
    {"vc-rate", case_vc_rate},
    {"vc-without-exit-rate", case_vc_without_exit_rate},
    {"random-conversions", case_random_conversions},
    {"memory-patrol", case_memory_patrol},
    {"doorbell", case_doorbell},
    {"alternate", case_alternate},
};

}  // namespace

CaseList cases() {
  return {all, all + sizeof all / sizeof all[0]};
}

void demonstrate(bool snp) {
  const Cpuid features = cpuid(0x8000001F);
  print("CPUID 8000001F: EAX ", Hex{features.eax}, " EBX ", Hex{features.ebx}, "\n");
  if (!snp) {
    print("not an SNP guest: nothing to convert\n");
    return;
  }
  print("hypervisor features ", Hex{hypervisor_features()}, "\n");
  print("4 KiB page, private to shared and back:\n");
  area[0][0] = 0xC0FFEE;
  make_shared(area[0]);
  report("read as shared", probe_read(area[0]));
  area[0][0] = 0xBEEF;
  report("after a write as shared", probe_read(area[0]));
  make_private(area[0]);
  report("read as private again", probe_read(area[0]));
  print("2 MiB page, private to shared and back:\n");
  report("PVALIDATE 2M rescind", pvalidate(large_area, true, false));
  print("  page state change: ",
        Hex{change_page_state(at(large_area), true, PageOperation::make_shared)}, "\n");
  set_encrypted_2m(large_area, false);
  report("read as shared", probe_read(large_area));
  set_encrypted_2m(large_area, true);
  print("  page state change: ",
        Hex{change_page_state(at(large_area), true, PageOperation::make_private)}, "\n");
  report("PVALIDATE 2M", pvalidate(large_area, true, true));
  print("what must not work:\n");
  case_not_validated();
  pvalidate(area[0], false, true);
  case_double_validate();
  pvalidate(area[0], false, true);
  case_rmpupdate_in_guest();
  case_rmpadjust();
  print("done\n");
}

}  // namespace softsnp::guest
