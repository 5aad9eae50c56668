// Port and memory-mapped I/O events. GHCB sheet 3.2, 3.3.
#include <cerrno>

#include "arch/svm/exit_code.hpp"
#include "base/bytes.hpp"
#include "hypervisor/kvm/scratch_area.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace ioio = svm::ioio;
using ghcb::Malformed;
namespace {
constexpr u64 max_elements = 0x7FFFFFFF;
constexpr u64 max_mmio_bytes = 8;
}  // namespace

VcpuImpl::Exit VcpuImpl::event_io() {
  const u64 info = ghcb_.request.exit_info1;
  const u64 size = get_bits(info, 6, 4);
  if (size == 0) {
    return std::nullopt;  // as KVM: success, nothing done
  }
  if (size != 1 && size != 2 && size != 4) {
    respond_malformed(Malformed::invalid_input);
    return std::nullopt;
  }
  IoExit exit;
  exit.in = (info & ioio::in) != 0;
  exit.size = static_cast<u8>(size);
  exit.port = static_cast<u16>(info >> ioio::port_shift);
  if ((info & ioio::string) != 0) {
    return event_string_io(exit);
  }
  ++vm_.counters.io_exits;
  if (exit.in) {
    pending_ = GhcbIn{exit.size};
  } else {
    const u8* bytes = reinterpret_cast<const u8*>(&ghcb_.request.rax);
    exit.data.assign(bytes, bytes + size);
  }
  return KvmExit(std::move(exit));
}

VcpuImpl::Exit VcpuImpl::event_string_io(const IoExit& template_exit) {
  const u64 count = ghcb_.request.exit_info2;
  if (count > max_elements) {
    return refuse(EINVAL, "string I/O of more elements than KVM counts");
  }
  if (count == 0) {
    return std::nullopt;
  }
  const u64 length = count * template_exit.size;
  if (!scratch_room(ghcb_.request.ghcb, ghcb_.request.scratch, length)) {
    respond_malformed(Malformed::invalid_scratch_area);
    return std::nullopt;
  }
  ++vm_.counters.io_exits;
  IoExit exit = template_exit;
  exit.count = static_cast<u32>(count);
  if (exit.in) {
    pending_ = GhcbStringIn{ghcb_.request.scratch, length};
    return KvmExit(std::move(exit));
  }
  exit.data.resize(length);
  if (!vm_.memory.read_shared(GuestPhysical(ghcb_.request.scratch), exit.data)) {
    respond_malformed(Malformed::invalid_scratch_area);
    return std::nullopt;
  }
  return KvmExit(std::move(exit));
}

VcpuImpl::Exit VcpuImpl::event_mmio() {
  const u64 length = ghcb_.request.exit_info2;
  if (length == 0) {
    return std::nullopt;
  }
  if (length > max_mmio_bytes) {
    respond_malformed(Malformed::invalid_input);
    return std::nullopt;
  }
  if (!scratch_room(ghcb_.request.ghcb, ghcb_.request.scratch, length)) {
    respond_malformed(Malformed::invalid_scratch_area);
    return std::nullopt;
  }
  MmioExit exit;
  exit.address = GuestPhysical(ghcb_.request.exit_info1);
  exit.write = ghcb_.request.event() == ghcb::Event::mmio_write;
  exit.length = static_cast<u8>(length);
  const GuestPhysical buffer(ghcb_.request.scratch);
  const std::span<u8> data(exit.data.data(), length);
  if (exit.write && !vm_.memory.read_shared(buffer, data)) {
    respond_malformed(Malformed::invalid_scratch_area);
    return std::nullopt;
  }
  if (owns(exit.address)) {
    if (exit.write) {
      write(exit.address, exit.length, load_le<u64>(exit.data.data()));
    } else {
      store_le(exit.data.data(), read(exit.address, exit.length));
      (void)vm_.memory.write_shared(buffer, data).ok();
    }
    return std::nullopt;
  }
  ++vm_.counters.mmio_exits;
  if (!exit.write) {
    pending_ = GhcbMmioRead{ghcb_.request.scratch, length};
  }
  return KvmExit(exit);
}

}  // namespace softsnp::kvm
