// The legacy commands. Firmware sheet 1.3 (ids), 7.1 (buffers, states), 1.1 (buffers written back).
// Columns that a command does not name keep the defaults of CommandRow.
#include "arch/psp/platform_buffers.hpp"
#include "arch/psp/sev_buffers.hpp"
#include "machine/psp/command_row.hpp"
#include "machine/psp/handlers.hpp"
#include "machine/psp/sev_handlers.hpp"

namespace softsnp::psp {

namespace {

constexpr u64 low_half = 0xFFFFFFFF;

constexpr MustBeZero init_zero[] = {{0x00, ~u64{SevInit::es}}};
constexpr MustBeZero init_ex_zero[] = {{0x04, low_half & ~u64{SevInit::es}}, {0x14, low_half}};
constexpr MustBeZero zero_at_04[] = {{0x04, low_half}};
constexpr MustBeZero zero_at_0c[] = {{0x0C, low_half}};
constexpr MustBeZero zero_at_14[] = {{0x14, low_half}};
constexpr MustBeZero packet_zero[] = {{0x04, low_half}, {0x14, low_half}, {0x24, low_half}};
constexpr MustBeZero send_start_zero[] = {{0x14, low_half}, {0x24, low_half}, {0x34, low_half}};

Status activate_ex_length(const Request& request) {
  return request.as<SevActivateEx>().length == sizeof(SevActivateEx) ? Status::success
                                                                     : Status::invalid_length;
}

using C = Command;
using G = SevGuestState;

constexpr CommandRow without_handler(Command command) {
  return {.command = command};
}
constexpr CommandRow bare(Command command, SevRule state, Handler handler) {
  return {.command = command, .sev = state, .handler = handler};
}
// A handle alone.
constexpr CommandRow handle_only(Command command, u8 states, bool active, Handler handler) {
  return {.command = command,
          .bytes = sizeof(SevHandleOnly),
          .sev = SevRule::working,
          .handle = 0x00,
          .sev_states = states,
          .sev_active = active,
          .handler = handler};
}
constexpr CommandRow update(Command command, Handler handler) {
  return {.command = command,
          .bytes = sizeof(SevLaunchUpdate),
          .sev = SevRule::working,
          .handle = 0x00,
          .sev_states = sev_guest::in(G::lupdate),
          .sev_active = true,
          .zero = zero_at_04,
          .handler = handler};
}
constexpr CommandRow start(Command command, Handler handler) {
  return {.command = command,
          .bytes = sizeof(SevLaunchStart),
          .sev = SevRule::initialised,
          .write_back = WriteBack::on_success,
          .zero = zero_at_14,
          .handler = handler};
}
constexpr CommandRow packet(Command command, G state, WriteBack write_back, Handler handler) {
  return {.command = command,
          .bytes = sizeof(SevPacket),
          .sev = SevRule::working,
          .handle = 0x00,
          .sev_states = sev_guest::in(state),
          .sev_active = true,
          .write_back = write_back,
          .zero = packet_zero,
          .handler = handler};
}
constexpr CommandRow debug(Command command, Handler handler) {
  return {.command = command,
          .bytes = sizeof(SevDebug),
          .sev = SevRule::working,
          .handle = 0x00,
          .zero = zero_at_04,
          .handler = handler};
}

constexpr CommandRow rows[] = {
    {.command = C::init,
     .bytes = sizeof(SevInit),
     .sev = SevRule::uninit,
     .zero = init_zero,
     .handler = sev_init},
    bare(C::shutdown, SevRule::any, sev_shutdown),
    bare(C::platform_reset, SevRule::uninit, sev_platform_reset),
    {.command = C::platform_status,
     .bytes = sizeof(SevPlatformStatus),
     .write_back = WriteBack::on_success,
     .handler = sev_platform_status},
    bare(C::pek_gen, SevRule::init, sev_pek_gen),
    {.command = C::pek_csr,
     .bytes = sizeof(SevPekCsr),
     .sev = SevRule::initialised,
     .write_back = WriteBack::on_length_error,
     .handler = sev_pek_csr},
    {.command = C::pek_cert_import,
     .bytes = sizeof(SevPekCertImport),
     .sev = SevRule::init,
     .zero = zero_at_0c,
     .handler = sev_pek_cert_import},
    {.command = C::pdh_cert_export,
     .bytes = sizeof(SevPdhCertExport),
     .sev = SevRule::initialised,
     .write_back = WriteBack::on_length_error,
     .zero = zero_at_0c,
     .handler = sev_pdh_cert_export},
    bare(C::pdh_gen, SevRule::initialised, sev_pdh_gen),
    bare(C::df_flush, SevRule::any, snp_df_flush),
    without_handler(C::download_firmware),
    {.command = C::get_id,
     .bytes = sizeof(SevGetId),
     .write_back = WriteBack::on_length_error,
     .handler = sev_get_id},
    {.command = C::init_ex,
     .bytes = sizeof(SevInitEx),
     .sev = SevRule::uninit,
     .zero = init_ex_zero,
     .handler = sev_init_ex},
    bare(C::nop, SevRule::any, sev_nop),
    without_handler(C::ring_buffer),
    handle_only(C::decommission, sev_guest::any, false, sev_decommission),
    {.command = C::activate,
     .bytes = sizeof(SevActivate),
     .sev = SevRule::working,
     .handle = 0x00,
     .handler = sev_activate},
    handle_only(C::deactivate, sev_guest::any, true, sev_deactivate),
    {.command = C::guest_status,
     .bytes = sizeof(SevGuestStatus),
     .sev = SevRule::initialised,
     .write_back = WriteBack::on_success,
     .handler = sev_guest_status},
    {.command = C::copy,
     .bytes = sizeof(SevCopy),
     .sev = SevRule::working,
     .handle = 0x00,
     .sev_active = true,
     .handler = sev_copy},
    {.command = C::activate_ex,
     .bytes = sizeof(SevActivateEx),
     .sev = SevRule::working,
     .handle = 0x04,
     .parameters = activate_ex_length,
     .handler = sev_activate_ex},
    start(C::launch_start, sev_launch_start),
    update(C::launch_update_data, sev_launch_update_data),
    update(C::launch_update_vmsa, sev_launch_update_vmsa),
    {.command = C::launch_measure,
     .bytes = sizeof(SevLaunchUpdate),
     .sev = SevRule::working,
     .handle = 0x00,
     .sev_states = sev_guest::in(G::lupdate),
     .write_back = WriteBack::on_length_error,
     .zero = zero_at_04,
     .handler = sev_launch_measure},
    packet(C::launch_secret, G::lsecret, WriteBack::never, sev_launch_secret),
    handle_only(C::launch_finish, sev_guest::in(G::lsecret), false, sev_launch_finish),
    {.command = C::attestation,
     .bytes = sizeof(SevAttestation),
     .sev = SevRule::working,
     .handle = 0x00,
     .sev_states = sev_guest::in(G::lsecret) | sev_guest::in(G::running) |
                   sev_guest::in(G::supdate) | sev_guest::in(G::sent),
     .write_back = WriteBack::on_length_error,
     .zero = zero_at_04,
     .handler = sev_attestation},
    {.command = C::send_start,
     .bytes = sizeof(SevSendStart),
     .sev = SevRule::working,
     .handle = 0x00,
     .sev_states = sev_guest::in(G::running),
     .write_back = WriteBack::on_length_error,
     .zero = send_start_zero,
     .handler = sev_send_start},
    packet(C::send_update_data, G::supdate, WriteBack::on_length_error, sev_send_update_data),
    packet(C::send_update_vmsa, G::supdate, WriteBack::on_length_error, sev_send_update_vmsa),
    handle_only(C::send_finish, sev_guest::in(G::supdate), false, sev_send_finish),
    handle_only(C::send_cancel, sev_guest::in(G::supdate), false, sev_send_cancel),
    start(C::receive_start, sev_receive_start),
    packet(C::receive_update_data, G::rupdate, WriteBack::never, sev_receive_update_data),
    packet(C::receive_update_vmsa, G::rupdate, WriteBack::never, sev_receive_update_vmsa),
    handle_only(C::receive_finish, sev_guest::in(G::rupdate), false, sev_receive_finish),
    debug(C::dbg_decrypt, sev_dbg_decrypt),
    debug(C::dbg_encrypt, sev_dbg_encrypt),
    without_handler(C::swap_out),
    without_handler(C::swap_in),
};
static_assert(ascending(rows));

}  // namespace

std::span<const CommandRow> sev_command_rows() {
  return rows;
}

}  // namespace softsnp::psp
