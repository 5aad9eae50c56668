// LAUNCH_START and RECEIVE_START: a guest and its session. Firmware sheet 7.1, 7.2, 7.3.
#include "arch/psp/sev_buffers.hpp"
#include "machine/psp/sev_handlers.hpp"
#include "machine/psp/sev_identity.hpp"
#include "machine/psp/sev_operands.hpp"
#include "machine/psp/sev_session.hpp"

namespace softsnp::psp {

namespace {

const char* policy_problem(const Firmware& firmware, u32 policy) {
  const FirmwareVersion& version = firmware.config.version;
  const auto wanted =
      static_cast<u16>(sev_policy::api_major(policy) << 8 | sev_policy::api_minor(policy));
  if (version.abi() < wanted) {
    return "the policy asks for a newer firmware";
  }
  return (policy & sev_policy::reserved) != 0 ? "reserved policy bits are set" : nullptr;
}

// Certificate, MACs, policy, in this order; fills keys.
Status open(Firmware& firmware, Request& request, const SevLaunchStart& start,
            SevTransportKeys& keys) {
  SevCertificate peer;
  SevSession session;
  for (const MemoryRange& range : {MemoryRange::of(start.dh_cert_paddr, sizeof peer),
                                   MemoryRange::of(start.session_paddr, sizeof session)}) {
    const Status status = check_readable(firmware, request, range);
    if (status != Status::success) {
      return status;
    }
  }
  firmware.port.read_value(FirmwarePort::address(start.dh_cert_paddr), peer);
  firmware.port.read_value(FirmwarePort::address(start.session_paddr), session);
  if (!is_key_certificate(firmware, peer, SevKeyUsage::pdh)) {
    return request.fail(Status::invalid_certificate,
                        "the other side's certificate is not one of a P-384 DH key");
  }
  const auto shared = firmware.p384.shared_x(firmware.state.sev.identity->pdh_key, peer.key);
  const SevWrapKeys wrap = derive_wrap_keys(derive_master_secret(shared, session.nonce));
  if (!open_session(session, wrap, start.policy, keys)) {
    return request.fail(Status::bad_measurement, "the session's MACs are not right");
  }
  if (const char* problem = policy_problem(firmware, start.policy); problem != nullptr) {
    return request.fail(Status::policy_failure, problem);
  }
  return Status::success;
}

// handle: a guest whose key the new one shares, or 0.
Status choose_key(Firmware& firmware, Request& request, const SevLaunchStart& start,
                  memory::MemoryKey& key) {
  if (start.handle == 0) {
    draw(firmware.state.drbg, firmware.sha, key.bytes);
    return Status::success;
  }
  const auto found = firmware.state.sev.guests.find(start.handle);
  if (found == firmware.state.sev.guests.end()) {
    return request.fail(Status::invalid_guest, "no guest to share the key of");
  }
  const SevGuest& other = found->second;
  if (other.policy != start.policy || (start.policy & sev_policy::noks) != 0) {
    return request.fail(Status::policy_failure, "the policies do not allow to share the key");
  }
  key = other.vek;
  return Status::success;
}

Status start_guest(Firmware& firmware, Request& request, bool with_session, SevGuestState state) {
  SevState& sev = firmware.state.sev;
  auto start = request.as<SevLaunchStart>();
  SevGuest guest;
  Status status = with_session ? open(firmware, request, start, guest.transport) : Status::success;
  if (status == Status::success && (start.policy & sev_policy::es) != 0 && !sev.es) {
    status = request.fail(Status::unsupported, "the platform was initialised without SEV-ES");
  }
  if (status == Status::success && sev.guests.size() >= SevState::max_guests) {
    status = request.fail(Status::resource_limit, "too many guests");
  }
  if (status == Status::success) {
    status = choose_key(firmware, request, start, guest.vek);
  }
  if (status != Status::success) {
    return status;
  }
  guest.state = state;
  guest.policy = start.policy;
  start.handle = request.handle = sev.next_handle++;
  sev.guests.insert_or_assign(start.handle, guest);
  sev.platform = SevPlatformState::working;
  request.put(start);
  return Status::success;
}

// The lengths of both buffers are fixed.
Status check_lengths(Request& request, const SevLaunchStart& start) {
  return start.dh_cert_len == sizeof(SevCertificate) && start.session_len == sizeof(SevSession)
             ? Status::success
             : request.fail(Status::invalid_length, "certificate or session has the wrong length");
}

}  // namespace

Status sev_launch_start(Firmware& firmware, Request& request) {
  const auto start = request.as<SevLaunchStart>();
  if (start.dh_cert_paddr == 0) {
    return start_guest(firmware, request, false, SevGuestState::lupdate);
  }
  const Status status = check_lengths(request, start);
  return status == Status::success ? start_guest(firmware, request, true, SevGuestState::lupdate)
                                   : status;
}

Status sev_receive_start(Firmware& firmware, Request& request) {
  const Status status = check_lengths(request, request.as<SevLaunchStart>());
  return status == Status::success ? start_guest(firmware, request, true, SevGuestState::rupdate)
                                   : status;
}

}  // namespace softsnp::psp
