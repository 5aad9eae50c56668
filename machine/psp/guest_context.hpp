// A guest as the firmware knows it. Firmware sheet 1.4, 1.6, 4.3 (GCTX).
//
// On hardware this lies in the guest's context page, encrypted and authenticated under a key of
// the secure processor. Here it is a plain value in the processor's own state, found by the page's
// address, and the page holds noise that changes whenever the context does: the host sees the
// same, and a host that could overwrite the page (the RMP forbids it) cannot change the guest.
#pragma once

#include <array>

#include "arch/address.hpp"
#include "arch/psp/guest_buffers.hpp"
#include "arch/psp/id_block.hpp"
#include "arch/psp/policy.hpp"
#include "arch/psp/tcb_version.hpp"
#include "machine/memory/crypt/key_table.hpp"

namespace softsnp::psp {

using Key256 = std::array<u8, 32>;

struct GuestContext {
  GuestState state = GuestState::init;
  u64 policy = 0;
  Asid asid = Asid::host;  // host: not activated
  memory::MemoryKey vek{};
  TcbVersion launch_tcb;
  u64 launch_mitigation_vector = 0;

  Digest launch_digest;
  Digest imi_digest;
  bool imi_en = false;
  u32 desired_tsc_khz = 0;
  std::array<u8, 16> gosvw{};

  Key256 oek{};          // of pages swapped out
  u64 oek_iv_count = 0;  // IVs used with it
  MdataEntry root_mdata{};
  std::array<Key256, vmpl_count> vmpck{};
  std::array<u64, vmpl_count> message_count{};
  Key256 vmrk{};
  Key256 report_id{};
  Key256 report_id_ma{};
  bool has_migration_agent = false;

  // From LAUNCH_FINISH.
  std::array<u8, 32> host_data{};
  bool id_block_en = false;
  bool author_key_en = false;
  bool vcek_dis = false;
  IdBlock id_block{};
  Digest id_key_digest;
  Digest author_key_digest;

  bool active() const { return asid != Asid::host; }
};

}  // namespace softsnp::psp
