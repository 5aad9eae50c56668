// The KEY message: a key that depends on the guest and on what it selects. Firmware sheet 4.4.
#include <algorithm>

#include "machine/psp/guest_message.hpp"
#include "machine/psp/kdf.hpp"

namespace softsnp::psp {

namespace {

constexpr std::string_view label = "gmsg-keyreq";

// Mixed into the key. Fields that are not selected stay zero.
struct KeyContext {
  static constexpr u32 root_vmrk = 1, id_key = 1 << 1, author_key = 2 << 1;
  u32 flags;
  u32 zero_04;
  u64 guest_field_select;
  u32 vmpl;
  u32 guest_svn;
  TcbVersion tcb;
  u64 policy;
  u8 image_id[0x10];
  u8 family_id[0x10];
  u8 measurement[0x20];
  u8 host_data[0x20];
  u8 key_digest[0x20];
  u64 launch_mitigation_vector;
};
// The last field takes part only if selected, so that the keys of the older message stay.
constexpr usize older_bytes = 0xA8;
static_assert(sizeof(KeyContext) == 0xB0);
static_assert(offsetof(KeyContext, launch_mitigation_vector) == older_bytes);

bool from_vmrk(const KeyRequest& asked) {
  return (asked.selection & KeyRequest::root_vmrk) != 0;
}
KeySelect key_select(const KeyRequest& asked) {
  return static_cast<KeySelect>(asked.selection >> KeyRequest::key_select_shift &
                                KeyRequest::key_select_mask);
}
bool selects(const KeyRequest& asked, u64 field) {
  return (asked.guest_field_select & field) != 0;
}

u64 known_fields(u8 version) {
  const u64 first = key_field::policy | key_field::image_id | key_field::family_id |
                    key_field::measurement | key_field::guest_svn | key_field::tcb_version;
  return version >= 2 ? first | key_field::launch_mitigation_vector : first;
}

// In the sheet's order. The rule for the mitigation vector is ours: no bit that the guest was not
// launched with.
MessageStatus check(const Firmware& firmware, const GuestContext& context, const KeyRequest& asked,
                    const GuestMessage& message) {
  if ((asked.selection & ~KeyRequest::selection_mask) != 0 || asked.mbz_04 != 0) {
    return MessageStatus::invalid_parameters;
  }
  if (!from_vmrk(asked) &&
      (firmware.state.mask_chip_key || !choose_key(firmware.state, context, key_select(asked)))) {
    return MessageStatus::invalid_key_selection;
  }
  if (asked.vmpl < message.vmpck ||
      (asked.guest_field_select & ~known_fields(message.version)) != 0) {
    return MessageStatus::invalid_parameters;
  }
  // A reserved byte is zero in the committed TCB, so a set one is above it.
  if (selects(asked, key_field::tcb_version) &&
      !no_component_above(asked.tcb_version, firmware.encode(firmware.state.committed_tcb))) {
    return MessageStatus::invalid_parameters;
  }
  if (selects(asked, key_field::guest_svn) && asked.guest_svn > context.id_block.guest_svn) {
    return MessageStatus::invalid_parameters;
  }
  if (selects(asked, key_field::launch_mitigation_vector) &&
      (asked.launch_mitigation_vector & ~context.launch_mitigation_vector) != 0) {
    return MessageStatus::invalid_parameters;
  }
  return MessageStatus::success;
}

void mix_identity(const GuestContext& guest, KeyContext& mixed) {
  std::copy(guest.host_data.begin(), guest.host_data.end(), mixed.host_data);
  if (guest.author_key_en) {
    mixed.flags |= KeyContext::author_key;
    std::copy_n(guest.author_key_digest.bytes, sizeof mixed.key_digest, mixed.key_digest);
  } else if (guest.id_block_en) {
    mixed.flags |= KeyContext::id_key;
    std::copy_n(guest.id_key_digest.bytes, sizeof mixed.key_digest, mixed.key_digest);
  }
}

void mix_selected(const GuestContext& guest, const KeyRequest& asked, KeyContext& mixed) {
  if (selects(asked, key_field::policy)) {
    mixed.policy = guest.policy;
  }
  if (selects(asked, key_field::image_id)) {
    std::copy_n(guest.id_block.image_id, sizeof mixed.image_id, mixed.image_id);
  }
  if (selects(asked, key_field::family_id)) {
    std::copy_n(guest.id_block.family_id, sizeof mixed.family_id, mixed.family_id);
  }
  if (selects(asked, key_field::measurement)) {
    std::copy_n(guest.launch_digest.bytes, sizeof mixed.measurement, mixed.measurement);
  }
  if (selects(asked, key_field::guest_svn)) {
    mixed.guest_svn = asked.guest_svn;
  }
  if (selects(asked, key_field::tcb_version)) {
    mixed.tcb = asked.tcb_version;
  }
  if (selects(asked, key_field::launch_mitigation_vector)) {
    mixed.launch_mitigation_vector = asked.launch_mitigation_vector;
  }
}

KeyContext mix(const GuestContext& guest, const KeyRequest& asked) {
  KeyContext mixed{};
  mixed.flags = from_vmrk(asked) ? KeyContext::root_vmrk : 0;
  mixed.guest_field_select = asked.guest_field_select;
  mixed.vmpl = asked.vmpl;
  mix_identity(guest, mixed);
  mix_selected(guest, asked, mixed);
  return mixed;
}

// The VCEK of an older TCB for a guest that selects one; the VLEK is that of the reported TCB.
Digest chip_root(Firmware& firmware, const GuestContext& guest, const KeyRequest& asked) {
  const TcbVersion reported = firmware.encode(firmware.state.reported_tcb);
  if (choose_key(firmware.state, guest, key_select(asked)) == SigningKey::vlek) {
    return firmware.keys.vlek(*firmware.state.vlek, reported).seed;
  }
  if (selects(asked, key_field::tcb_version) && asked.tcb_version != reported) {
    return derive_vcek(firmware.keys.chip().secret, asked.tcb_version).seed;
  }
  return firmware.keys.vcek(reported).seed;
}

}  // namespace

void answer_key(Firmware& firmware, Request& request, GuestMessage& message) {
  const GuestContext& guest = *request.context;
  const auto asked = message.as<KeyRequest>();
  KeyResponse response{};
  const MessageStatus status = check(firmware, guest, asked, message);
  response.status = static_cast<u32>(status);
  if (status == MessageStatus::success) {
    const KeyContext mixed = mix(guest, asked);
    const std::span<const u8> all(reinterpret_cast<const u8*>(&mixed), sizeof mixed);
    const auto context =
        selects(asked, key_field::launch_mitigation_vector) ? all : all.first(older_bytes);
    if (from_vmrk(asked)) {
      derive_key(guest.vmrk, label, context, response.derived_key);
    } else {
      derive_key(chip_root(firmware, guest, asked).bytes, label, context, response.derived_key);
    }
  }
  message.answer(response);
}

}  // namespace softsnp::psp
