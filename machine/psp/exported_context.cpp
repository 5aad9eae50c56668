#include "machine/psp/exported_context.hpp"

#include <algorithm>

namespace softsnp::psp {

ExportedContext export_context(const GuestContext& context, bool with_root) {
  ExportedContext made{};
  made.launch_digest = context.launch_digest;
  store_le(made.oek, context.oek);
  for (unsigned vmpl = 0; vmpl < vmpl_count; ++vmpl) {
    store_le(made.vmpck[vmpl], context.vmpck[vmpl]);
    made.message_count[vmpl] = context.message_count[vmpl];
  }
  store_le(made.vmrk, context.vmrk);
  store_le(made.host_data, context.host_data);
  made.id_key_digest = context.id_key_digest;
  made.author_key_digest = context.author_key_digest;
  store_le(made.report_id, context.report_id);
  made.imi_digest = context.imi_digest;
  made.root_mdata = with_root ? context.root_mdata : MdataEntry{};
  made.flags = (context.author_key_en ? ExportedContext::author_key_en : 0) |
               (context.id_block_en ? ExportedContext::id_block_en : 0) |
               (context.vcek_dis ? ExportedContext::vcek_dis : 0);
  made.policy = context.policy;
  made.state = static_cast<u8>(context.state);
  made.oek_iv_count = context.oek_iv_count;
  made.id_block = context.id_block;
  store_le(made.gosvw, context.gosvw);
  made.desired_tsc_khz = context.desired_tsc_khz;
  made.launch_tcb = context.launch_tcb;
  return made;
}

void import_context(Firmware& firmware, GuestContext& context, const ExportedContext& from) {
  context.launch_digest = from.launch_digest;
  context.oek = load_le<Key256>(from.oek);
  for (unsigned vmpl = 0; vmpl < vmpl_count; ++vmpl) {
    context.vmpck[vmpl] = load_le<Key256>(from.vmpck[vmpl]);
    context.message_count[vmpl] = from.message_count[vmpl];
  }
  context.vmrk = load_le<Key256>(from.vmrk);
  context.host_data = load_le<std::array<u8, 32>>(from.host_data);
  context.id_key_digest = from.id_key_digest;
  context.author_key_digest = from.author_key_digest;
  context.imi_digest = from.imi_digest;
  context.imi_en = false;
  context.root_mdata = from.root_mdata;
  context.author_key_en = (from.flags & ExportedContext::author_key_en) != 0;
  context.id_block_en = (from.flags & ExportedContext::id_block_en) != 0;
  context.vcek_dis = (from.flags & ExportedContext::vcek_dis) != 0;
  context.policy = from.policy;
  context.oek_iv_count = from.oek_iv_count;
  context.id_block = from.id_block;
  context.gosvw = load_le<std::array<u8, 16>>(from.gosvw);
  context.desired_tsc_khz = from.desired_tsc_khz;
  context.launch_tcb = from.launch_tcb;
  context.state = GuestState::running;
  if (context.active()) {
    firmware.state.asids.start_running(context.asid);
  }
}

}  // namespace softsnp::psp
