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

void hand_over(Program& program, GuestPhysical start, GuestPhysical end) {
  for (GuestPhysical at = start; at < end;) {
    at = at + hand_over_at(program, at, end - at);
  }
}

// All of the range but what lies in holes, which are ascending.
void hand_over_around(Program& program, const Stretch& range, const Stretch* holes, u32 count) {
  GuestPhysical at = range.start;
  for (u32 i = 0; i < count; ++i) {
    if (range.overlaps(holes[i])) {
      hand_over(program, at, holes[i].start);
      at = holes[i].start + holes[i].bytes;
    }
  }
  hand_over(program, at, range.start + range.bytes);
}

// What the guest does not get: our memory, and what it will ask for.
struct Holes {
  Stretch at[boot::SvsmLaunch::max_unaccepted + 1];
  u32 count = 0;
};

void collect(Holes& holes, const boot::SvsmLaunch& launch) {
  const Stretch own{GuestPhysical(launch.own.start), launch.own.bytes};
  bool own_is_in = false;
  for (u32 i = 0; i < launch.unaccepted_count; ++i) {
    const Stretch next{GuestPhysical(launch.unaccepted[i].start), launch.unaccepted[i].bytes};
    if (!own_is_in && own.start < next.start) {
      holes.at[holes.count++] = own;
      own_is_in = true;
    }
    holes.at[holes.count++] = next;
  }
  if (!own_is_in) {
    holes.at[holes.count++] = own;
  }
}

}  // namespace

void hand_over_memory(Program& program, const boot::SvsmLaunch& launch) {
  Holes holes;
  collect(holes, launch);
  for (u32 i = 0; i < launch.ram_count; ++i) {
    hand_over_around(program, {GuestPhysical(launch.ram[i].start), launch.ram[i].bytes}, holes.at,
                     holes.count);
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
