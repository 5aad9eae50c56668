// One call of a guest's, and its handlers. SVSM sheet 4-6. Freestanding.
#pragma once

#include "arch/svsm/call.hpp"
#include "arch/svsm/result_code.hpp"
#include "guest/svsm/attestation.hpp"
#include "guest/svsm/platform.hpp"
#include "guest/svsm/state.hpp"
#include "guest/svsm/vtpm.hpp"

namespace softsnp::svsm {

// Everything a handler may touch. Registers are the SVSM's copy: outputs go there.
struct Request {
  Platform& platform;
  State& state;
  Reporter& reporter;
  Vtpm* vtpm;  // null: no protocol 2
  GuestVcpu& caller;
  Registers registers;
};

using Handler = ResultCode (*)(Request&);

ResultCode remap_ca(Request& request);
ResultCode pvalidate(Request& request);
ResultCode create_vcpu(Request& request);
ResultCode delete_vcpu(Request& request);
ResultCode deposit_mem(Request& request);
ResultCode withdraw_mem(Request& request);
ResultCode query_protocol(Request& request);
ResultCode configure_vtom(Request& request);

ResultCode attest_services(Request& request);
ResultCode attest_single_service(Request& request);

ResultCode vtpm_query(Request& request);
ResultCode vtpm_command(Request& request);

// Finds the call's handler and lets it answer.
ResultCode dispatch(Request& request);
bool is_offered(const Request& request, Protocol protocol);

}  // namespace softsnp::svsm
