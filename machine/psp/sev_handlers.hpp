// The handlers of the legacy commands, and what they share.
#pragma once

#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

// sev_platform.cpp
Status sev_init(Firmware&, Request&);
Status sev_init_ex(Firmware&, Request&);
Status sev_shutdown(Firmware&, Request&);
Status sev_platform_reset(Firmware&, Request&);
Status sev_platform_status(Firmware&, Request&);
Status sev_get_id(Firmware&, Request&);
Status sev_nop(Firmware&, Request&);
// sev_guest_commands.cpp
Status sev_activate(Firmware&, Request&);
Status sev_activate_ex(Firmware&, Request&);
Status sev_deactivate(Firmware&, Request&);
Status sev_decommission(Firmware&, Request&);
Status sev_guest_status(Firmware&, Request&);
Status sev_copy(Firmware&, Request&);
// sev_launch_start.cpp
Status sev_launch_start(Firmware&, Request&);
Status sev_receive_start(Firmware&, Request&);
// sev_launch.cpp
Status sev_launch_update_data(Firmware&, Request&);
Status sev_launch_update_vmsa(Firmware&, Request&);
Status sev_launch_measure(Firmware&, Request&);
Status sev_launch_secret(Firmware&, Request&);
Status sev_launch_finish(Firmware&, Request&);
Status sev_attestation(Firmware&, Request&);
// sev_debug.cpp
Status sev_dbg_decrypt(Firmware&, Request&);
Status sev_dbg_encrypt(Firmware&, Request&);
// sev_certificates.cpp
Status sev_pek_gen(Firmware&, Request&);
Status sev_pek_csr(Firmware&, Request&);
Status sev_pek_cert_import(Firmware&, Request&);
Status sev_pdh_gen(Firmware&, Request&);
Status sev_pdh_cert_export(Firmware&, Request&);
// sev_migration.cpp
Status sev_send_start(Firmware&, Request&);
Status sev_send_update_data(Firmware&, Request&);
Status sev_send_update_vmsa(Firmware&, Request&);
Status sev_send_finish(Firmware&, Request&);
Status sev_send_cancel(Firmware&, Request&);
Status sev_receive_update_data(Firmware&, Request&);
Status sev_receive_update_vmsa(Firmware&, Request&);
Status sev_receive_finish(Firmware&, Request&);

// sev_guest_commands.cpp: the guest gives up its ASID, if it has one; the key goes.
void take_asid(Firmware& firmware, SevGuest& guest);

}  // namespace softsnp::psp
