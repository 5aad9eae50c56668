// The command handlers: what a command does once the common checks have passed.
#pragma once

#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

// platform_init.cpp
Status snp_init(Firmware&, Request&);
Status snp_init_ex(Firmware&, Request&);
// platform_commands.cpp
Status snp_shutdown(Firmware&, Request&);
Status snp_shutdown_ex(Firmware&, Request&);
Status snp_df_flush(Firmware&, Request&);
Status snp_config(Firmware&, Request&);
Status snp_commit(Firmware&, Request&);
// vlek_load.cpp
Status snp_vlek_load(Firmware&, Request&);
// status_commands.cpp
Status snp_platform_status(Firmware&, Request&);
Status snp_guest_status(Firmware&, Request&);
Status snp_feature_info(Firmware&, Request&);
// guest_commands.cpp
Status snp_gctx_create(Firmware&, Request&);
Status snp_decommission(Firmware&, Request&);
Status snp_activate(Firmware&, Request&);
Status snp_activate_ex(Firmware&, Request&);
// launch_start.cpp, launch_update.cpp, launch_finish.cpp
Status snp_launch_start(Firmware&, Request&);
Status snp_launch_update(Firmware&, Request&);
Status snp_launch_finish(Firmware&, Request&);
// guest_request.cpp
Status snp_guest_request(Firmware&, Request&);
// debug_commands.cpp
Status snp_dbg_decrypt(Firmware&, Request&);
Status snp_dbg_encrypt(Firmware&, Request&);
// page_commands.cpp
Status snp_page_reclaim(Firmware&, Request&);
Status snp_page_unsmash(Firmware&, Request&);
Status snp_page_set_state(Firmware&, Request&);
// page_swap.cpp, page_move.cpp
Status snp_page_md_init(Firmware&, Request&);
Status snp_page_swap_out(Firmware&, Request&);
Status snp_page_swap_in(Firmware&, Request&);
Status snp_page_move(Firmware&, Request&);
// Their parts of the common checks.
Status swap_parameters(const Request&);
Status swap_out_pages(Firmware&, Request&);
Status swap_in_pages(Firmware&, Request&);
Status move_pages(Firmware&, Request&);

// guest_commands.cpp: the context ends; its page becomes FIRMWARE.
void decommission(Firmware& firmware, SystemPhysical context_page, Command command);

}  // namespace softsnp::psp
