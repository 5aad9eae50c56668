// What the guest gets: all RAM but ours, and the secrets page without our keys. SVSM
// sheet 1.1, 8.1.
#include "arch/psp/secrets_page.hpp"
#include "arch/svsm/call.hpp"
#include "guest/crypto/wipe.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/svsm/permissions.hpp"
#include "guest/vmpl0/program.hpp"

namespace softsnp::svsm {
namespace {

// One block, or as much of it as is whole.
u64 hand_over_at(Program& program, GuestPhysical at, u64 left) {
  const Vmpl guest = program.state.guest_vmpl;
  if (at.is_large_page_aligned() && left >= large_page_size) {
    const RmpAnswer answer = grant(program.platform, at, PageSize::size_2m, guest);
    if (answer.succeeded()) {
      return large_page_size;
    }
    if (result_of(answer) != fail_size_mismatch) {
      guest::terminate(program.processor, guest::Cause::page_not_validated);
    }
  }
  if (!grant(program.platform, at, PageSize::size_4k, guest).succeeded()) {
    guest::terminate(program.processor, guest::Cause::page_not_validated);
  }
  return page_size;
}

void hand_over(Program& program, GuestPhysical start, u64 bytes) {
  for (u64 done = 0; done < bytes;) {
    done += hand_over_at(program, start + done, bytes - done);
  }
}

}  // namespace

void hand_over_memory(Program& program, const boot::SvsmLaunch& launch) {
  const Stretch own = program.state.memory.own;
  for (u32 i = 0; i < launch.ram_count; ++i) {
    const Stretch ram{GuestPhysical(launch.ram[i].start), launch.ram[i].bytes};
    if (!ram.contains(own)) {
      hand_over(program, ram.start, ram.bytes);
      continue;
    }
    const u64 below = own.start - ram.start;
    hand_over(program, ram.start, below);
    hand_over(program, own.start + own.bytes, ram.bytes - below - own.bytes);
  }
}

// The guest keeps the key of its own level and those of lower ones.
void fill_secrets(Program& program, const boot::SvsmLaunch& launch) {
  auto* const secrets = reinterpret_cast<psp::SecretsPage*>(launch.secrets);
  for (unsigned level = 0; level < number(program.state.guest_vmpl); ++level) {
    crypto::wipe(secrets->vmpck[level], sizeof secrets->vmpck[level]);
  }
  secrets->svsm_base = launch.own.start;
  secrets->svsm_size = launch.own.bytes;
  secrets->svsm_caa = launch.calling_area;
  secrets->svsm_max_version = core_version;
  secrets->svsm_guest_vmpl = static_cast<u8>(launch.guest_vmpl);
}

}  // namespace softsnp::svsm
