#include "lab/random_liar.hpp"

#include "arch/svm/exit_code.hpp"
#include "base/bytes.hpp"
#include "lab/nested_lookup.hpp"

namespace softsnp::lab {
namespace {

namespace field = ghcb::field;

constexpr u64 vmcb_ghcb_at = 0x0A0;  // hardware sheet 8.2

}  // namespace

// Values that mean something in one place or another, and any.
u64 RandomLiar::number() {
  static constexpr u64 values[] = {
      0,          1,          2,          6,          12,           0x80000B0D,
      0x80000306, 0x80000B0E, 0x7FFFFFFF, 0x80000000, u64{1} << 32, u64{2} << 32,
      ~u64{0}};
  return random_() % 2 == 0 ? values[random_() % (sizeof values / sizeof values[0])] : random_();
}

void RandomLiar::put(SystemPhysical at, u64 value) {
  u8 bytes[8];
  store_le(bytes, value);
  (void)inner_.store(at, bytes, PageSize::size_4k).ok();
}

void RandomLiar::lie_by_msr(SystemPhysical vmcb) {
  const u64 answer = read_vmcb(inner_, vmcb).ghcb;
  u64 lie = 0;
  switch (random_() % 4) {
    case 0:
      lie = answer ^ bit(static_cast<unsigned>(random_() % 64));
      break;
    case 1:
      lie = pending_->msr;  // as if it were unknown
      break;
    case 2:
      lie = (answer & page_offset_mask) | (random_() & ~page_offset_mask);
      break;
    default:
      lie = number();
      break;
  }
  put(vmcb + vmcb_ghcb_at, lie);
}

void RandomLiar::lie_by_page() {
  static constexpr unsigned fields[] = {field::rax, field::rbx,          field::rcx,
                                        field::rdx, field::sw_exitinfo1, field::sw_exitinfo2};
  const SystemPhysical at = pending_->ghcb->at;
  const SystemPhysical buffer = at + ghcb::shared_buffer_offset;
  switch (random_() % 6) {
    case 0:
    case 1:
      put(at + fields[random_() % 6], number());
      break;
    case 2:  // half of the valid bits
      put(at + field::valid_bitmap + 8 * (random_() % 2), random_());
      break;
    case 3:
      put(at + field::sw_exitinfo1, 1);
      put(at + field::sw_exitinfo2, number());
      break;
    case 4:
      put(buffer + 8 * (random_() % 4), number());
      break;
    default:  // counters of a page state change
      put(buffer, random_() % 0x10 | (random_() % 0x10) << 16);
      break;
  }
}

void RandomLiar::see_exit(SystemPhysical at) {
  const svm::Vmcb vmcb = read_vmcb(inner_, at);
  if (vmcb.exitcode != svm::number(svm::ExitCode::vmgexit)) {
    return;
  }
  Pending pending;
  if ((vmcb.ghcb & page_offset_mask) != 0) {
    pending.msr = vmcb.ghcb;
    if (!about_.msr || !about_.msr(pending.msr)) {
      return;
    }
  } else {
    pending.ghcb = read_ghcb(inner_, vmcb);
    if (!pending.ghcb || !about_.page || !about_.page(pending.ghcb->page)) {
      return;
    }
  }
  ++asked_;
  if (random_() % one_in_ == 0) {
    pending_ = pending;
  }
}

Result<void, machine::HostException> RandomLiar::vmrun(unsigned core, SystemPhysical vmcb,
                                                       u64 max_instructions) {
  if (pending_) {
    ++lies_;
    pending_->ghcb ? lie_by_page() : lie_by_msr(vmcb);
    pending_.reset();
  }
  auto result = inner_.vmrun(core, vmcb, max_instructions);
  if (result) {
    see_exit(vmcb);
  }
  return result;
}

}  // namespace softsnp::lab
