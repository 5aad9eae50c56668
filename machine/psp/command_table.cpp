// The SNP commands. Firmware sheet 1.3 (ids, states) and 1.6 (buffers, operands). Columns that a
// command does not name keep the defaults of CommandRow.
#include <algorithm>

#include "arch/psp/guest_buffers.hpp"
#include "arch/psp/platform_buffers.hpp"
#include "machine/psp/command_row.hpp"
#include "machine/psp/handlers.hpp"

namespace softsnp::psp {

namespace {

using S = PageState;
constexpr u64 all = ~u64{0};
constexpr u64 page_low = 0xFFF;
constexpr u32 output_states = states(S::firmware, S::default_);
constexpr u32 guest_pages = states(S::pre_guest, S::pre_swap, S::guest_invalid, S::guest_valid);
constexpr u32 writable_guest_pages = states(S::pre_guest, S::pre_swap);

constexpr u64 high_half(u64 mask) {
  return mask << 32;
}

constexpr MustBeZero init_ex_zero[] = {
    {0x00, ~u64{SnpInitEx::init_rmp | SnpInitEx::list_paddr_en}},  // and 04
    {0x10, all},
    {0x18, all},
    {0x20, all},
    {0x28, all},
    {0x30, all},
    {0x38, all}};
constexpr MustBeZero shutdown_ex_zero[] = {
    {0x00, high_half(~u64{SnpShutdownEx::iommu_snp_shutdown | SnpShutdownEx::x86_snp_shutdown})}};
constexpr MustBeZero context_only_zero[] = {{0x00, page_low}};
constexpr MustBeZero activate_ex_zero[] = {{0x00, high_half(all)}, {0x08, page_low}};
constexpr MustBeZero launch_start_zero[] = {
    {0x00, page_low},
    {0x10, page_low},
    {0x18, 0xFFFFFFFF & ~u64{SnpLaunchStart::ma_en | SnpLaunchStart::imi_en}}};
constexpr MustBeZero launch_update_zero[] = {
    {0x00, page_low}, {0x08, ~u64{0x1F}}, {0x10, page_low}, {0x18, high_half(all) | 0xFF}};
constexpr MustBeZero launch_finish_zero[] = {
    {0x00, page_low},
    {0x18,
     ~(SnpLaunchFinish::id_block_en | SnpLaunchFinish::auth_key_en | SnpLaunchFinish::vcek_dis)}};
constexpr MustBeZero debug_zero[] = {{0x00, page_low}, {0x08, page_low}, {0x10, page_low}};
constexpr MustBeZero md_init_zero[] = {{0x00, page_low}, {0x08, page_low}};
constexpr MustBeZero move_zero[] = {
    {0x00, page_low}, {0x08, ~u64{SnpPageMove::size_2m}}, {0x10, page_low}, {0x18, page_low}};
constexpr u64 swap_type_bits = 6;
constexpr MustBeZero swap_out_zero[] = {
    {0x00, page_low},
    {0x08, page_low},
    {0x10, page_low},
    {0x28, ~(SnpPageSwap::size_2m | swap_type_bits | SnpPageSwap::root_mdata_en)}};
constexpr MustBeZero swap_in_zero[] = {
    {0x00, page_low},
    {0x08, page_low},
    {0x10, page_low},
    {0x20, all},
    {0x28, ~(SnpPageSwap::size_2m | swap_type_bits | SnpPageSwap::in_place |
             SnpPageSwap::root_mdata_en)}};
constexpr MustBeZero reclaim_zero[] = {{0x00, page_low & ~SnpPageReclaim::size_2m}};
constexpr MustBeZero unsmash_zero[] = {{0x00, large_page_size - 1}};
constexpr MustBeZero set_state_zero[] = {{0x00, high_half(all)}};
constexpr MustBeZero config_zero[] = {
    {0x08, ~u64{SnpConfig::mask_chip_id | SnpConfig::mask_chip_key}},
    {0x10, all},
    {0x18, all},
    {0x20, all},
    {0x28, all},
    {0x30, all},
    {0x38, all}};

// The version must be zero too.
constexpr MustBeZero vlek_load_zero[] = {{0x00, high_half(all)}};

constexpr PageOperand new_context[] = {{.offset = 0x00,
                                        .states = states(S::firmware),
                                        .size = SizeRule::only_4k,
                                        .no_memory = Status::invalid_config}};
constexpr PageOperand platform_status_to[] = {{.offset = 0x00,
                                               .states = output_states,
                                               .output_bytes = sizeof(SnpPlatformStatus),
                                               .when_init = true}};
constexpr PageOperand guest_status_to[] = {
    {.offset = 0x08, .states = output_states, .output_bytes = sizeof(SnpGuestStatus)}};
constexpr PageOperand feature_info_to[] = {{.offset = 0x08,
                                            .states = output_states,
                                            .output_bytes = sizeof(SnpFeatureInfoOutput),
                                            .when_init = true}};
constexpr PageOperand launch_page[] = {{.offset = 0x10,
                                        .states = states(S::pre_guest),
                                        .size = SizeRule::launch_update,
                                        .owned = true}};
constexpr PageOperand decrypt_pages[] = {{.offset = 0x08, .states = guest_pages, .owned = true},
                                         {.offset = 0x10, .states = states(S::firmware)}};
constexpr PageOperand encrypt_pages[] = {
    {.offset = 0x08}, {.offset = 0x10, .states = writable_guest_pages, .owned = true}};
constexpr PageOperand new_metadata[] = {
    {.offset = 0x08, .states = states(S::firmware), .size = SizeRule::only_4k}};
constexpr PageOperand moved_pages[] = {
    {.offset = 0x10,
     .states = states(S::pre_swap, S::pre_guest, S::metadata),
     .size = SizeRule::flag_at_08},
    {.offset = 0x18, .states = states(S::pre_guest, S::firmware), .size = SizeRule::flag_at_08}};
constexpr PageOperand swapped_out[] = {
    {.offset = 0x08,
     .states = states(S::pre_swap, S::pre_guest, S::metadata),
     .size = SizeRule::swap},
    {.offset = 0x10, .states = output_states, .size = SizeRule::swap}};
// The source is read in whatever state; in place there is none.
constexpr PageOperand swapped_in[] = {
    {.offset = 0x10, .states = states(S::pre_guest, S::firmware), .size = SizeRule::swap}};
constexpr PageOperand reclaim_page[] = {{.offset = 0x00, .size = SizeRule::flag_in_paddr}};

// Messages need not start on a page: what counts is the page they lie in.
constexpr PageOperand message_pages[] = {
    {.offset = 0x08, .size = SizeRule::only_4k},
    {.offset = 0x10, .states = states(S::firmware), .size = SizeRule::only_4k}};

template <u32 length, Status otherwise>
Status length_is(const Request& request) {
  return static_cast<u32>(request.field(0)) == length ? Status::success : otherwise;
}

// A list of ranges takes part only in initialising the RMP.
Status init_ex_parameters(const Request& request) {
  return request.as<SnpInitEx>().flags == SnpInitEx::list_paddr_en ? Status::invalid_param
                                                                   : Status::success;
}

Status shutdown_ex_parameters(const Request& request) {
  const auto command = request.as<SnpShutdownEx>();
  const bool x86_alone = (command.flags & SnpShutdownEx::x86_snp_shutdown) != 0 &&
                         (command.flags & SnpShutdownEx::iommu_snp_shutdown) == 0;
  return command.length != sizeof command || x86_alone ? Status::invalid_param : Status::success;
}

template <unsigned offset, u64 bytes>
Status inside_page(const Request& request) {
  return request.address(offset).page_offset() + bytes > page_size ? Status::invalid_param
                                                                   : Status::success;
}

Status launch_update_parameters(const Request& request) {
  const u64 type = get_bits(request.field(0x08), 3, 1);
  return type < static_cast<u64>(PageType::normal) || type > static_cast<u64>(PageType::cpuid)
             ? Status::invalid_param
             : Status::success;
}

Status feature_info_parameters(const Request& request) {
  const auto command = request.as<SnpFeatureInfo>();
  return command.length != sizeof command || command.ecx_in > 1 ? Status::invalid_param
                                                                : Status::success;
}

// Of a guest's pages, in LAUNCH and RUNNING.
constexpr CommandRow page_row(CommandRow row) {
  row.platform = PlatformRule::init;
  row.context = 0x00;
  row.guest_states = guest::launch | guest::running;
  return row;
}
// An SNP command of a later stage: firmware update.
constexpr CommandRow later(Command command) {
  return {.command = command, .without_handler = Status::unsupported};
}

using C = Command;
constexpr auto uninit = PlatformRule::uninit;
constexpr auto init = PlatformRule::init;
constexpr auto sev_uninit = SevRule::uninit;

constexpr CommandRow rows[] = {
    {.command = C::snp_init, .platform = uninit, .sev = sev_uninit, .handler = snp_init},
    {.command = C::snp_shutdown,
     .sev = sev_uninit,
     .nothing_when_uninit = true,
     .handler = snp_shutdown},
    {.command = C::snp_platform_status,
     .bytes = sizeof(SnpPlatformStatusCommand),
     .pages = platform_status_to,
     .parameters = inside_page<0x00, sizeof(SnpPlatformStatus)>,
     .handler = snp_platform_status},
    {.command = C::snp_df_flush, .handler = snp_df_flush},
    {.command = C::snp_init_ex,
     .bytes = sizeof(SnpInitEx),
     .platform = uninit,
     .sev = sev_uninit,
     .zero = init_ex_zero,
     .parameters = init_ex_parameters,
     .handler = snp_init_ex},
    {.command = C::snp_shutdown_ex,
     .bytes = sizeof(SnpShutdownEx),
     .sev = sev_uninit,
     .nothing_when_uninit = true,
     .zero = shutdown_ex_zero,
     .parameters = shutdown_ex_parameters,
     .handler = snp_shutdown_ex},
    {.command = C::snp_decommission,
     .bytes = sizeof(SnpGuestContextOnly),
     .platform = init,
     .context = 0x00,
     .zero = context_only_zero,
     .handler = snp_decommission},
    {.command = C::snp_activate,
     .bytes = sizeof(SnpActivate),
     .platform = init,
     .context = 0x00,
     .guest_states = guest::launch | guest::running,
     .zero = context_only_zero,
     .handler = snp_activate},
    {.command = C::snp_guest_status,
     .bytes = sizeof(SnpGuestStatusCommand),
     .platform = init,
     .context = 0x00,
     .zero = context_only_zero,
     .pages = guest_status_to,
     .parameters = inside_page<0x08, sizeof(SnpGuestStatus)>,
     .handler = snp_guest_status},
    {.command = C::snp_gctx_create,
     .bytes = sizeof(SnpGuestContextOnly),
     .platform = init,
     .zero = context_only_zero,
     .pages = new_context,
     .handler = snp_gctx_create},
    {.command = C::snp_guest_request,
     .bytes = sizeof(SnpGuestRequest),
     .platform = init,
     .context = 0x00,
     .guest_states = guest::running,
     .zero = context_only_zero,
     .pages = message_pages,
     .handler = snp_guest_request},
    {.command = C::snp_activate_ex,
     .bytes = sizeof(SnpActivateEx),
     .platform = init,
     .context = 0x08,
     .guest_states = guest::launch | guest::running,
     .zero = activate_ex_zero,
     .parameters = length_is<sizeof(SnpActivateEx), Status::invalid_param>,
     .handler = snp_activate_ex},
    {.command = C::snp_launch_start,
     .bytes = sizeof(SnpLaunchStart),
     .platform = init,
     .context = 0x00,
     .guest_states = guest::init,
     .zero = launch_start_zero,
     .handler = snp_launch_start},
    {.command = C::snp_launch_update,
     .bytes = sizeof(SnpLaunchUpdate),
     .platform = init,
     .context = 0x00,
     .guest_states = guest::launch,
     .active = true,
     .zero = launch_update_zero,
     .pages = launch_page,
     .parameters = launch_update_parameters,
     .handler = snp_launch_update},
    {.command = C::snp_launch_finish,
     .bytes = sizeof(SnpLaunchFinish),
     .platform = init,
     .context = 0x00,
     .guest_states = guest::launch | guest::not_migration_image,
     .active = true,
     .zero = launch_finish_zero,
     .handler = snp_launch_finish},
    {.command = C::snp_dbg_decrypt,
     .bytes = sizeof(SnpDebug),
     .platform = init,
     .context = 0x00,
     .zero = debug_zero,
     .pages = decrypt_pages,
     .handler = snp_dbg_decrypt},
    {.command = C::snp_dbg_encrypt,
     .bytes = sizeof(SnpDebug),
     .platform = init,
     .context = 0x00,
     .zero = debug_zero,
     .pages = encrypt_pages,
     .handler = snp_dbg_encrypt},
    page_row({.command = C::snp_page_swap_out,
              .bytes = sizeof(SnpPageSwap),
              .zero = swap_out_zero,
              .pages = swapped_out,
              .parameters = swap_parameters,
              .pages_fit = swap_out_pages,
              .handler = snp_page_swap_out}),
    page_row({.command = C::snp_page_swap_in,
              .bytes = sizeof(SnpPageSwap),
              .zero = swap_in_zero,
              .pages = swapped_in,
              .parameters = swap_parameters,
              .pages_fit = swap_in_pages,
              .handler = snp_page_swap_in}),
    page_row({.command = C::snp_page_move,
              .bytes = sizeof(SnpPageMove),
              .zero = move_zero,
              .pages = moved_pages,
              .pages_fit = move_pages,
              .handler = snp_page_move}),
    page_row({.command = C::snp_page_md_init,
              .bytes = sizeof(SnpPageMdInit),
              .zero = md_init_zero,
              .pages = new_metadata,
              .handler = snp_page_md_init}),
    {.command = C::snp_page_set_state,
     .bytes = sizeof(SnpPageSetState),
     .platform = init,
     .zero = set_state_zero,
     .parameters = length_is<sizeof(SnpPageSetState), Status::invalid_length>,
     .handler = snp_page_set_state},
    {.command = C::snp_page_reclaim,
     .bytes = sizeof(SnpPageReclaim),
     .platform = init,
     .zero = reclaim_zero,
     .pages = reclaim_page,
     .handler = snp_page_reclaim},
    {.command = C::snp_page_unsmash,
     .bytes = sizeof(SnpPageUnsmash),
     .platform = init,
     .zero = unsmash_zero,
     .handler = snp_page_unsmash},
    {.command = C::snp_config,
     .bytes = sizeof(SnpConfig),
     .zero = config_zero,
     .handler = snp_config},
    later(C::snp_download_firmware_ex),
    {.command = C::snp_commit,
     .bytes = sizeof(SnpCommit),
     .parameters = length_is<sizeof(SnpCommit), Status::invalid_param>,
     .handler = snp_commit},
    {.command = C::snp_vlek_load,
     .bytes = sizeof(SnpVlekLoad),
     .zero = vlek_load_zero,
     .parameters = length_is<sizeof(SnpVlekLoad), Status::invalid_param>,
     .handler = snp_vlek_load},
    {.command = C::snp_feature_info,
     .bytes = sizeof(SnpFeatureInfo),
     .pages = feature_info_to,
     .parameters = feature_info_parameters,
     .handler = snp_feature_info},
};

static_assert(ascending(rows));

}  // namespace

std::span<const CommandRow> snp_command_rows() {
  return rows;
}

const CommandRow* find_row(u32 id) {
  for (const auto table : {sev_command_rows(), snp_command_rows()}) {
    const auto found = std::lower_bound(
        table.begin(), table.end(), id,
        [](const CommandRow& row, u32 wanted) { return number(row.command) < wanted; });
    if (found != table.end() && number(found->command) == id) {
      return &*found;
    }
  }
  return nullptr;
}

}  // namespace softsnp::psp
