#include "lab/guest_signal.hpp"

#include "arch/svm/exit_code.hpp"
#include "lab/nested_lookup.hpp"

namespace softsnp::lab {

std::optional<GhcbView> read_ghcb(machine::HostPort& port, const svm::Vmcb& vmcb) {
  if (vmcb.exitcode != svm::number(svm::ExitCode::vmgexit) || (vmcb.ghcb & page_offset_mask) != 0) {
    return std::nullopt;
  }
  const auto leaf = find_leaf(port, SystemPhysical(vmcb.ncr3), GuestPhysical(vmcb.ghcb));
  GhcbView view;
  if (!leaf || !port.load(leaf->page, view.page.raw)) {
    return std::nullopt;
  }
  view.at = leaf->page;
  return view;
}

std::optional<u32> port_write(machine::HostPort& port, const svm::Vmcb& vmcb, u16 number) {
  // A guest without SEV-ES: its registers are the host's to read.
  if (vmcb.exitcode == svm::number(svm::ExitCode::ioio)) {
    const bool is_write = (vmcb.exitinfo1 & (svm::ioio::in | svm::ioio::string)) == 0;
    return is_write && (vmcb.exitinfo1 >> svm::ioio::port_shift) == number
               ? std::optional(static_cast<u32>(vmcb.rax))
               : std::nullopt;
  }
  const auto ghcb = read_ghcb(port, vmcb);
  if (!ghcb || ghcb->page.sw_exitcode != svm::number(svm::ExitCode::ioio) ||
      (ghcb->page.sw_exitinfo1 >> svm::ioio::port_shift) != number ||
      (ghcb->page.sw_exitinfo1 & (svm::ioio::in | svm::ioio::string)) != 0) {
    return std::nullopt;
  }
  return static_cast<u32>(ghcb->page.rax);
}

}  // namespace softsnp::lab
