#include "guest/runtime/ghcb_client.hpp"

#include "arch/ghcb/response.hpp"
#include "arch/svm/vmcb.hpp"
#include "arch/x86/msr.hpp"

namespace softsnp::guest {
namespace {

namespace field = ghcb::field;

// GHCB sheet 1.6: #UD and #GP and nothing else, as exceptions, marked valid.
Handled<u64> requested_exception(u64 info2) {
  namespace event = svm::event;
  const auto vector = static_cast<x86::Vector>(info2 & event::vector);
  const auto type = static_cast<event::Type>((info2 & event::type) >> 8);
  if ((info2 & event::valid) == 0 || type != event::Type::exception ||
      (vector != x86::Vector::gp && vector != x86::Vector::ud)) {
    return trouble(Cause::inadmissible_exception);
  }
  // #UD has no error code; #GP has one always, 0 if the hypervisor named none.
  const bool has_error = vector == x86::Vector::gp;
  const bool named = (info2 & event::error_valid) != 0;
  return trouble(Exception{static_cast<u8>(vector), has_error,
                           has_error && named ? static_cast<u32>(info2 >> 32) : 0});
}

}  // namespace

GhcbClient::GhcbClient(Processor& processor, ghcb::Ghcb& page, GuestPhysical at, u16 version,
                       ghcb::Ghcb* backup)
    : processor_(processor), page_(page), at_(at), version_(version), backup_(backup) {}

void GhcbClient::begin() {
  page_.valid_bitmap = {};
  page_.protocol_version = version_;
  page_.usage = ghcb::usage_standard;
}

// Stores a quadword field and sets its valid bit.
void GhcbClient::set(unsigned offset, u64 value) {
  __builtin_memcpy(page_.raw + offset, &value, sizeof value);
  ghcb::ValidBitmap valid = page_.valid_bitmap;
  valid.set(offset);
  page_.valid_bitmap = valid;
}

void GhcbClient::set_cpl(u8 cpl) {
  page_.cpl = cpl;
  ghcb::ValidBitmap valid = page_.valid_bitmap;
  valid.set(field::cpl);
  page_.valid_bitmap = valid;
}

void GhcbClient::use_buffer() {
  set(field::sw_scratch, at_.value() + ghcb::shared_buffer_offset);
}

void GhcbClient::set_buffer(const void* from, usize size) {
  __builtin_memcpy(page_.raw + ghcb::shared_buffer_offset, from, size);
  use_buffer();
}

void GhcbClient::read_buffer(void* to, usize size) const {
  __builtin_memcpy(to, page_.raw + ghcb::shared_buffer_offset, size);
}

bool GhcbClient::valid(unsigned offset) const {
  const u8 byte = read_once<u8>(page_.raw + field::valid_bitmap + offset / 64);
  return has_bit(byte, offset / 8 % 8);
}

void GhcbClient::prepare_exit(u64 code, u64 info1, u64 info2) {
  set(field::sw_exitcode, code);
  set(field::sw_exitinfo1, info1);
  set(field::sw_exitinfo2, info2);
  processor_.write_msr(x86::msr::ghcb, at_.value());
}

Reply GhcbClient::reply() const {
  return {read_once<u64>(page_.raw + field::sw_exitinfo1),
          read_once<u64>(page_.raw + field::sw_exitinfo2)};
}

Reply GhcbClient::exit(u64 code, u64 info1, u64 info2) {
  prepare_exit(code, info1, info2);
  processor_.vmgexit();
  return reply();
}

Handled<u64> GhcbClient::judge(const Reply& reply) const {
  if (!valid(field::sw_exitinfo1) || !valid(field::sw_exitinfo2)) {
    return trouble(Cause::answer_incomplete);
  }
  switch (static_cast<ghcb::Response>(reply.info1)) {
    case ghcb::Response::no_action:
      return reply.info2;
    case ghcb::Response::raise_exception:
      return requested_exception(reply.info2);
    default:
      return trouble(Cause::host_error);
  }
}

Handled<u64> GhcbClient::call(u64 code, u64 info1, u64 info2) {
  return judge(exit(code, info1, info2));
}

Handled<u64> GhcbClient::call_with(svsm::Registers& registers, u64 code, u64 info1, u64 info2) {
  prepare_exit(code, info1, info2);
  registers = processor_.vmgexit_with(registers);
  return judge(reply());
}

Handled<u64> GhcbClient::answer(unsigned offset) const {
  if (!valid(offset)) {
    return trouble(Cause::answer_incomplete);
  }
  return read_once<u64>(page_.raw + offset);
}

GhcbUse::GhcbUse(GhcbClient& client) : client_(client), off_(client.processor_) {
  ok_ = client.depth_ == 0 || (client.depth_ == 1 && client.backup_ != nullptr);
  if (ok_ && client.depth_ == 1) {
    *client.backup_ = client.page_;
  }
  if (ok_) {
    ++client.depth_;
  }
}

GhcbUse::~GhcbUse() {
  if (!ok_) {
    return;
  }
  --client_.depth_;
  if (client_.depth_ == 1) {
    client_.page_ = *client_.backup_;
    return;
  }
  client_.page_.sw_exitcode = 0;
  client_.page_.valid_bitmap = {};
}

}  // namespace softsnp::guest
