#include "tests/guest/runtime/simulated_host.hpp"

#include <sys/mman.h>

#include <cstring>
#include <stdexcept>

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/ghcb/page_state_change.hpp"
#include "arch/ghcb/response.hpp"
#include "arch/snp/rmp.hpp"
#include "arch/svm/exit_code.hpp"
#include "arch/x86/msr.hpp"
#include "base/bytes.hpp"

namespace softsnp::guest {
namespace {

namespace field = ghcb::field;
using ghcb::Event;
using ghcb::MsrCode;
using snp::RmpResult;

void put(ghcb::Ghcb& page, unsigned offset, u64 value) {
  store_le(page.raw + offset, value);
  ghcb::ValidBitmap valid = page.valid_bitmap;
  valid.set(offset);
  page.valid_bitmap = valid;
}

}  // namespace

// Aligned to its size, so that one directory maps it; the kernel gives the zeros, and only where
// they are touched.
SimulatedHost::SimulatedHost() : rmp_(memory_bytes / page_size) {
  void* mapping = ::mmap(nullptr, 2 * memory_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    throw std::runtime_error("no memory");
  }
  mapping_ = mapping;
  memory_ = reinterpret_cast<u8*>(align_up(reinterpret_cast<u64>(mapping), memory_bytes));
  ghcb_msr_ = ghcb::sev_information_response(2, 1, 51);
}

SimulatedHost::~SimulatedHost() {
  ::munmap(mapping_, 2 * memory_bytes);
}

void SimulatedHost::build_page_tables(u64 offset) {
  constexpr u64 flags = x86::pte::present | x86::pte::write;
  const u64 first = at(0).value();
  auto* level = &object<u64>(offset);
  cr3 = at(offset).value();
  for (const unsigned shift : {39u, 30u}) {
    level[(first >> shift) & 511] = at(offset + page_size).value() | flags | bit(51);
    level += 512;
    offset += page_size;
  }
  for (u64 i = 0; i < memory_bytes / large_page_size; ++i) {
    level[((first >> 21) & 511) + i] =
        (first + i * large_page_size) | flags | x86::pte::large | bit(51);
  }
}

SimulatedHost::RmpPage& SimulatedHost::rmp(GuestPhysical page) {
  return rmp_.at((page - at(0)) / page_size);
}

void SimulatedHost::set_large(GuestPhysical block, bool large) {
  for (u64 i = 0; i < 512; ++i) {
    rmp(block.large_page() + i * page_size).large = large;
  }
}

u64 SimulatedHost::read_msr(u32 number) {
  return number == x86::msr::ghcb ? ghcb_msr_ : msrs[number];
}
void SimulatedHost::write_msr(u32 number, u64 value) {
  (number == x86::msr::ghcb ? ghcb_msr_ : msrs[number]) = value;
}

// A private access to a page that is not assigned ends in a nested fault, which the host resolves
// by assigning it (GHCB sheet 5, "lazy RMP").
void SimulatedHost::assign_on_fault(GuestPhysical page, u64 count) {
  for (u64 i = 0; i < count; ++i) {
    RmpPage& entry = rmp(page + i * page_size);
    if (!entry.assigned) {
      entry = {};
      entry.validated = false;
    }
  }
}

// Hardware sheet 4.6.
RmpOutcome SimulatedHost::pvalidate(GuestVirtual at_, PageSize size, bool validated) {
  const GuestPhysical page(at_.value());
  const u64 count = bytes(size) / page_size;
  if (size == PageSize::size_2m && !page.is_large_page_aligned()) {
    return {static_cast<u32>(RmpResult::fail_input), false};
  }
  assign_on_fault(page, count);
  if (size == PageSize::size_2m && !rmp(page).large) {
    return {static_cast<u32>(RmpResult::fail_sizemismatch), false};
  }
  if (size == PageSize::size_4k && rmp(page).large) {
    set_large(page, false);  // the host smashes it at the nested fault
  }
  const bool unchanged = rmp(page).validated == validated;
  for (u64 i = 0; i < count; ++i) {
    rmp(page + i * page_size).validated = validated;
  }
  return {0, unchanged};
}

u32 SimulatedHost::rmpadjust(GuestVirtual at_, PageSize, Vmpl target, u8, bool vmsa) {
  if (number(target) <= number(vmpl)) {
    return static_cast<u32>(RmpResult::fail_permission);
  }
  rmp(GuestPhysical(at_.value())).vmsa = vmsa;
  return 0;
}

void SimulatedHost::change_state(GuestPhysical page, u64 operation) {
  RmpPage& entry = rmp(page);
  if (operation == static_cast<u64>(ghcb::PageOperation::make_private)) {
    entry.validated = entry.validated && entry.assigned;  // RMPUPDATE of the same keeps it
    entry.assigned = true;
  } else {
    entry = {false, false, false, false};
    // Contents do not survive; the first bytes stand for all.
    std::memset(reinterpret_cast<void*>(page.value()), 0xCC, 64);
  }
}

u64 SimulatedHost::answer_msr(u64 request) {
  switch (static_cast<MsrCode>(request & 0xFFF)) {
    case MsrCode::sev_information:
      return ghcb::sev_information_response(highest_version, lowest_version, 51);
    case MsrCode::cpuid: {
      const CpuidValue v = host_cpuid[request >> 32];
      const u32 values[] = {v.eax, v.ebx, v.ecx, v.edx};
      const auto which = static_cast<ghcb::CpuidRegister>(get_bits(request, 31, 30));
      return ghcb::cpuid_response(values[static_cast<unsigned>(which)], which);
    }
    case MsrCode::preferred_ghcb:
      return ghcb::no_preferred_ghcb;
    case MsrCode::register_ghcb:
      ghcb_registered = request & ~u64{0xFFF};
      return ghcb::register_ghcb_response(GuestPhysical(ghcb_registered));
    case MsrCode::page_state_change: {
      const GuestPhysical page(request & mask_bits(51, 12));
      if (page.value() == refused_page) {
        return ghcb::page_state_change_response(ghcb::page_state_change_failed);
      }
      change_state(page, get_bits(request, 55, 52));
      return ghcb::page_state_change_response(0);
    }
    case MsrCode::features:
      return ghcb::features_response(features);
    case MsrCode::ap_reset_hold:
      return ghcb::ap_reset_hold_response(1);
    case MsrCode::run_vmpl:
      return number(MsrCode::run_vmpl_response);
    case MsrCode::termination:
      throw Terminated{{get_bits(request, 15, 12), get_bits(request, 23, 16)}};
    default:
      return request;
  }
}

u64 SimulatedHost::change_states(ghcb::Ghcb& page) {
  u8* buffer = page.raw + ghcb::shared_buffer_offset;
  auto header = load_le<ghcb::PageStateHeader>(buffer);
  if (header.end_entry >= ghcb::max_page_state_entries) {
    return ghcb::page_state_error::invalid_header;
  }
  for (unsigned done = 0; header.cur_entry <= header.end_entry && done < entries_per_exit; ++done) {
    u8* slot = buffer + sizeof header + header.cur_entry * 8;
    auto entry = load_le<ghcb::PageStateEntry>(slot);
    for (u64 i = entry.cur_page(); i < entry.page_count(); ++i) {
      const GuestPhysical at_ = entry.gpa() + i * page_size;
      if (at_.value() == refused_page) {
        entry.set_cur_page(i);
        store_le(slot, entry);
        store_le(buffer, header);
        return ghcb::page_state_error::generic;
      }
      change_state(at_, static_cast<u64>(entry.operation()));
    }
    if (entry.size() == PageSize::size_2m &&
        entry.operation() == ghcb::PageOperation::make_private) {
      set_large(entry.gpa(), true);
    }
    entry.set_cur_page(entry.page_count());
    store_le(slot, entry);
    ++header.cur_entry;
  }
  store_le(buffer, header);
  return 0;
}

void SimulatedHost::string_port(ghcb::Ghcb& page, bool in, usize size) {
  u8* buffer = page.raw + ghcb::shared_buffer_offset;
  for (usize i = 0; i < size; ++i) {
    if (in) {
      buffer[i] = port_input.empty() ? 0xFF : port_input.front();
      if (!port_input.empty()) {
        port_input.erase(port_input.begin());
      }
    } else {
      port_output.push_back(buffer[i]);
    }
  }
}

void SimulatedHost::answer_page(ghcb::Ghcb& page) {
  const ghcb::Ghcb request = page;
  const u64 info1 = request.sw_exitinfo1, info2 = request.sw_exitinfo2;
  page.valid_bitmap = {};
  put(page, field::sw_exitinfo1, 0);
  put(page, field::sw_exitinfo2, 0);
  for (const unsigned reg : {field::rax, field::rbx, field::rcx, field::rdx}) {
    put(page, reg, load_le<u64>(request.raw + reg));
  }
  const auto pair = [&](u64 value) {
    put(page, field::rax, static_cast<u32>(value));
    put(page, field::rdx, value >> 32);
  };
  u8* buffer = page.raw + ghcb::shared_buffer_offset;
  log.push_back(name(static_cast<Event>(u64{request.sw_exitcode})));
  switch (static_cast<Event>(u64{request.sw_exitcode})) {
    case Event::cpuid: {
      const CpuidValue v = host_cpuid[request.rax];
      put(page, field::rax, v.eax);
      put(page, field::rbx, v.ebx);
      put(page, field::rcx, v.ecx);
      put(page, field::rdx, v.edx);
      break;
    }
    case Event::rdtsc:
    case Event::rdpmc:
      pair(tsc += 7);
      break;
    case Event::rdtscp:
      pair(tsc += 7);
      put(page, field::rcx, 5);
      break;
    case Event::msr:
      if (info1 != 0) {
        msrs[request.rcx] = u64{request.rdx} << 32 | static_cast<u32>(request.rax);
      } else {
        pair(msrs[request.rcx]);
      }
      break;
    case Event::vmmcall:
      put(page, field::rax, request.rbx + request.rcx);
      break;
    case Event::ioio: {
      const bool in = (info1 & svm::ioio::in) != 0;
      const usize size = (info1 >> 4) & 7;
      if ((info1 & svm::ioio::string) != 0) {
        string_port(page, in, size * info2);
      } else if (in) {
        u64 value = 0;
        for (usize i = 0; i < size && !port_input.empty(); ++i) {
          value |= u64{port_input.front()} << (8 * i);
          port_input.erase(port_input.begin());
        }
        put(page, field::rax, value);
      } else {
        for (usize i = 0; i < size; ++i) {
          port_output.push_back(static_cast<u8>(request.rax >> (8 * i)));
        }
      }
      break;
    }
    case Event::mmio_read:
      std::memcpy(buffer, &devices[info1], info2);
      break;
    case Event::mmio_write:
      devices[info1] = 0;
      std::memcpy(&devices[info1], buffer, info2);
      break;
    case Event::page_state_change:
      put(page, field::sw_exitinfo2, change_states(page));
      break;
    case Event::guest_request:
    case Event::extended_guest_request:
      put(page, field::sw_exitinfo2,
          firmware(reinterpret_cast<const u8*>(info1), reinterpret_cast<u8*>(info2), page,
                   static_cast<Event>(u64{request.sw_exitcode}) == Event::extended_guest_request));
      break;
    case Event::ap_creation:
      started.push_back({info1, info2, request.rax});
      break;
    case Event::wbinvd:
    case Event::dr7_write:
    case Event::run_vmpl:
      break;
    default:
      put(page, field::sw_exitinfo1, static_cast<u64>(ghcb::Response::malformed_input));
      put(page, field::sw_exitinfo2, static_cast<u64>(ghcb::Malformed::invalid_event));
      break;
  }
  if (lie_by_page) {
    lie_by_page(request, page);
  }
}

void SimulatedHost::exit(svsm::Registers* registers) {
  const bool by_msr = (ghcb_msr_ & 0xFFF) != 0;
  const u64 request = ghcb_msr_;
  const bool runs_svsm =
      by_msr ? (request & 0xFFF) == number(MsrCode::run_vmpl)
             : reinterpret_cast<ghcb::Ghcb*>(request)->sw_exitcode == number(Event::run_vmpl);
  if (runs_svsm && registers != nullptr && svsm && !(skip_svsm && skip_svsm())) {
    svsm(*registers);
  }
  if (!by_msr) {
    if (request != ghcb_registered) {
      throw std::runtime_error("GHCB not registered");
    }
    answer_page(*reinterpret_cast<ghcb::Ghcb*>(request));
    return;
  }
  ghcb_msr_ = answer_msr(request);
  if (lie_by_msr) {
    ghcb_msr_ = lie_by_msr(request, ghcb_msr_);
  }
}

void SimulatedHost::vmgexit() {
  exit(nullptr);
}

svsm::Registers SimulatedHost::vmgexit_with(const svsm::Registers& in) {
  svsm::Registers out = in;
  exit(&out);
  return out;
}

SimulatedGuest::SimulatedGuest(SimulatedHost& h)
    : host(h),
      ghcb(h, h.object<ghcb::Ghcb>(ghcb_offset), h.at(ghcb_offset), 2,
           &h.object<ghcb::Ghcb>(backup_offset)) {
  h.rmp(h.at(ghcb_offset)) = {false, false, false, false};
  h.ghcb_registered = h.at(ghcb_offset).value();
}

}  // namespace softsnp::guest
