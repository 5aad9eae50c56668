// The second half of an exit, when the VMM comes back with its answer.
#include <algorithm>
#include <cerrno>

#include "base/bytes.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

void VcpuImpl::complete_io(std::span<const u8> bytes) {
  answer_.bytes.assign(bytes.begin(), bytes.end());
}
void VcpuImpl::complete_mmio(std::span<const u8> bytes) {
  answer_.bytes.assign(bytes.begin(), bytes.end());
}

// A VMM that did not answer is a bus that nobody drives.
std::vector<u8> VcpuImpl::take_answer(usize length) {
  std::vector<u8> bytes = std::exchange(answer_.bytes, {});
  bytes.resize(length, 0xFF);
  return bytes;
}

VcpuImpl::Exit VcpuImpl::resume() {
  const Pending pending = std::exchange(pending_, NothingPending{});
  const u64 ret = answer_.ret.value_or(ENOSYS);
  answer_.ret.reset();
  const auto little_endian = [](const std::vector<u8>& bytes) {
    u64 value = 0;
    std::copy(bytes.begin(), bytes.begin() + std::min<i64>(8, std::ssize(bytes)),
              reinterpret_cast<u8*>(&value));
    return value;
  };
  return std::visit(
      Overloaded{
          [](NothingPending) -> Exit { return std::nullopt; },
          [&](GhcbIn in) -> Exit {
            const u64 value = little_endian(take_answer(in.size));
            ghcb_.request.rax =
                in.size == 4 ? value : with_bits(ghcb_.request.rax, in.size * 8u - 1, 0, value);
            return std::nullopt;
          },
          [&](GhcbStringIn in) -> Exit {
            (void)vm_.memory.write_shared(GuestPhysical(in.scratch), take_answer(in.length)).ok();
            return std::nullopt;
          },
          [&](GhcbMmioRead in) -> Exit {
            (void)vm_.memory.write_shared(GuestPhysical(in.scratch), take_answer(in.length)).ok();
            return std::nullopt;
          },
          [&](PscByMsr psc) -> Exit {
            answer_msr(psc.request, ghcb::page_state_change_response(
                                        ret == 0 ? 0 : ghcb::page_state_change_failed));
            return std::nullopt;
          },
          [&](PscByEvent) -> Exit {
            if (ret != 0) {
              respond(0, ghcb::page_state_error::generic);
              return std::nullopt;
            }
            ghcb_.page_state.complete_run();
            return continue_page_state();
          },
          [&](GhcbHypercall) -> Exit {
            ghcb_.request.rax = u64{0} - ret;
            return std::nullopt;
          },
          [&](PlainHypercall) -> Exit {
            vmcb_.rax = u64{0} - ret;
            skip_instruction();
            return std::nullopt;
          },
          [&](CertificatesWanted) -> Exit { return continue_with_certificates(); },
          [&](PlainIn in) -> Exit {
            const u64 value = little_endian(take_answer(in.size));
            vmcb_.rax = in.size == 4 ? value : with_bits(vmcb_.rax, in.size * 8u - 1, 0, value);
            finish_io();
            return std::nullopt;
          },
          [&](const PlainStringIn& in) -> Exit {
            finish_string_in(in);
            return std::nullopt;
          },
          [&](PlainMmioRead) -> Exit {
            emulator_.answer(little_endian(take_answer(8)));
            return emulate_mmio(emulator_.run());
          },
          [](PlainMmioWrite) -> Exit { return std::nullopt; }},
      pending);
}

}  // namespace softsnp::kvm
