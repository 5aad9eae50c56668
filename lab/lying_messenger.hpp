// A hostile host between its guest and the AMD-SP: it keeps, alters, replays and invents what is
// theirs to say to each other. The guest names the lie it expects by a number at an I/O port.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "arch/ghcb/ghcb.hpp"
#include "lab/guest_signal.hpp"
#include "machine/port/wrapped_port.hpp"

namespace softsnp::lab {

class LyingMessenger final : public machine::WrappedPort {
 public:
  // One guest request: the page that reached the firmware (or did not), and the page that the
  // guest got.
  struct Exchange {
    std::array<u8, page_size> request{};
    std::array<u8, page_size> response{};
    u16 status = 0;
    bool reached_firmware = false;
    u32 lie = 0;
    u64 time = 0;  // TSC
  };
  using Past = std::vector<Exchange>;
  using Edit = std::function<void(std::span<u8, page_size> page, const Past& past)>;

  struct Lie {
    const char* name = "";
    Edit request;                   // on its way to the firmware
    std::optional<u16> status;      // instead of asking the firmware
    Edit response;                  // on its way to the guest
    std::optional<u64> exit_info2;  // what the guest reads instead of the hypervisor's answer
    std::optional<u64> rbx;
    u32 times = ~u32{0};  // requests that are answered so; honest afterwards
  };

  // Number n at the port stands for lies[n - 1], 0 for none.
  LyingMessenger(machine::HostPort& inner, u16 sign, std::vector<Lie> lies)
      : WrappedPort(inner), sign_(sign), lies_(std::move(lies)) {}

  const Past& exchanges() const { return exchanges_; }

  Result<void, machine::HostFault> load(SystemPhysical at, std::span<u8> to) override;
  u16 psp_command(u32 command, SystemPhysical buffer) override;
  Result<void, machine::HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                             u64 max_instructions) override;

 private:
  const Lie* current() const;
  void alter_request(const Lie& lie, SystemPhysical at);
  void overwrite_answer();
  void see_exit(SystemPhysical vmcb);

  u16 sign_;
  std::vector<Lie> lies_;
  u32 announced_ = 0;
  u32 told_ = 0;  // requests since the announcement
  Past exchanges_;
  const Lie* pending_ = nullptr;                 // of the exchange whose answer is on its way
  std::optional<SystemPhysical> response_page_;  // about to be read by the hypervisor
  std::optional<GhcbView> ghcb_;                 // of the request that is being answered
};

}  // namespace softsnp::lab
