#include "guest/runtime/ghcb_client.hpp"

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/svm/exit_code.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/page_tables.hpp"

namespace softsnp::guest {
namespace {

GhcbClient client;

u64 address(const void* at) {
  return reinterpret_cast<u64>(at);
}

}  // namespace

GhcbClient& ghcb() {
  return client;
}

u64 msr_protocol(u64 request) {
  wrmsr(x86::msr::ghcb, request);
  vmgexit();
  return rdmsr(x86::msr::ghcb);
}

u32 GhcbClient::start(ghcb::Ghcb* page) {
  const u64 info = msr_protocol(encode(ghcb::SevInformationRequest{}));
  if (get_bits(info, 11, 0) != 1 || get_bits(info, 47, 32) > 2 || get_bits(info, 63, 48) < 2) {
    return 1;
  }
  features_ = msr_protocol(encode(ghcb::FeaturesRequest{})) >> 12;
  if (!has_bit(features_, 0)) {
    return 2;
  }
  // Rescind, tell the host, then drop the C-bit (linux-boot sheet 2.3 "set_memory order").
  if (pvalidate(page, false, false).result != 0) {
    return 3;
  }
  if (change_page_state_by_msr(address(page), ghcb::PageOperation::make_shared) != 0) {
    return 4;
  }
  set_encrypted(page, false);
  const u64 request = encode(ghcb::RegisterGhcbRequest{GuestPhysical(address(page))});
  if (msr_protocol(request) != (request & ~u64{0xFFF}) + 0x13) {
    return 5;
  }
  adopt(page, 2);
  return 0;
}

u32 GhcbClient::start_without_snp(ghcb::Ghcb* page) {
  const u64 info = msr_protocol(encode(ghcb::SevInformationRequest{}));
  if (get_bits(info, 11, 0) != 1 || get_bits(info, 47, 32) > 1 || get_bits(info, 63, 48) < 1) {
    return 1;
  }
  set_encrypted(page, false);
  adopt(page, 1);
  return 0;
}

void GhcbClient::adopt(ghcb::Ghcb* page, u16 version) {
  for (u8& byte : page->raw) {
    byte = 0;
  }
  page->protocol_version = version;
  page_ = page;
}

void GhcbClient::begin() {
  page_->valid_bitmap = {};
}

// Stores a quadword field and sets its valid bit.
void GhcbClient::set(unsigned offset, u64 value) {
  __builtin_memcpy(page_->raw + offset, &value, sizeof value);
  ghcb::ValidBitmap valid = page_->valid_bitmap;
  valid.set(offset);
  page_->valid_bitmap = valid;
}

Reply GhcbClient::exit(u64 code, u64 info1, u64 info2) {
  set(ghcb::field::sw_exitcode, code);
  set(ghcb::field::sw_exitinfo1, info1);
  set(ghcb::field::sw_exitinfo2, info2);
  wrmsr(x86::msr::ghcb, address(page_));
  vmgexit();
  return {page_->sw_exitinfo1, page_->sw_exitinfo2};
}

bool GhcbClient::port_io(u16 port, unsigned size, bool in, u64& value) {
  begin();
  set(ghcb::field::rax, value);
  const u64 info = u64{port} << svm::ioio::port_shift | u64{size} << 4 | svm::ioio::addr64 |
                   (in ? svm::ioio::in : 0);
  const Reply reply = exit(number(svm::ExitCode::ioio), info, 0);
  if (reply.info1 != 0) {
    return false;
  }
  value = page_->rax;
  return true;
}

bool GhcbClient::cpuid(u32 leaf, u32 subleaf, u64 regs[4]) {
  begin();
  set(ghcb::field::rax, leaf);
  set(ghcb::field::rcx, subleaf);
  set(ghcb::field::xcr0, 1);
  if (exit(number(svm::ExitCode::cpuid), 0, 0).info1 != 0) {
    return false;
  }
  regs[0] = page_->rax;
  regs[1] = page_->rbx;
  regs[2] = page_->rcx;
  regs[3] = page_->rdx;
  return true;
}

bool GhcbClient::msr(u32 number_, bool write, u64& value) {
  begin();
  set(ghcb::field::rcx, number_);
  if (write) {
    set(ghcb::field::rax, static_cast<u32>(value));
    set(ghcb::field::rdx, value >> 32);
  }
  if (exit(number(svm::ExitCode::msr), write ? 1 : 0, 0).info1 != 0) {
    return false;
  }
  if (!write) {
    value = page_->rdx << 32 | static_cast<u32>(page_->rax);
  }
  return true;
}

u64 GhcbClient::change_page_state(u64 gpa, bool large, ghcb::PageOperation operation) {
  begin();
  const ghcb::PageStateHeader header{0, 0, 0};
  const auto entry = ghcb::PageStateEntry::make(GuestPhysical(gpa), operation,
                                                large ? PageSize::size_2m : PageSize::size_4k);
  u8* buffer = page_->raw + ghcb::shared_buffer_offset;
  __builtin_memcpy(buffer, &header, sizeof header);
  __builtin_memcpy(buffer + sizeof header, &entry, sizeof entry);
  set(ghcb::field::sw_scratch, address(page_) + ghcb::shared_buffer_offset);
  const Reply reply = exit(ghcb::number(ghcb::Event::page_state_change), 0, 0);
  return reply.info1 != 0 ? reply.info1 : reply.info2;
}

u32 GhcbClient::change_page_state_by_msr(u64 gpa, ghcb::PageOperation operation) {
  const u64 reply = msr_protocol(
      encode(ghcb::PageStateChangeRequest{GuestPhysical(gpa), static_cast<u8>(operation)}));
  return reply == ghcb::page_state_change_response(0) ? 0 : 1 | static_cast<u32>(reply >> 32);
}

void GhcbClient::terminate(u8 reason_set, u8 reason_code) {
  wrmsr(x86::msr::ghcb, encode(ghcb::TerminationRequest{reason_set, reason_code}));
  vmgexit();
  halt_forever();
}

}  // namespace softsnp::guest
