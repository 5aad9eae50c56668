#include "guest/svsm/request.hpp"

namespace softsnp::svsm {
namespace {

struct Row {
  u64 call;
  Handler handler;
};

constexpr Row rows[] = {
    {number(CoreCall::remap_ca), remap_ca},
    {number(CoreCall::pvalidate), pvalidate},
    {number(CoreCall::create_vcpu), create_vcpu},
    {number(CoreCall::delete_vcpu), delete_vcpu},
    {number(CoreCall::deposit_mem), deposit_mem},
    {number(CoreCall::withdraw_mem), withdraw_mem},
    {number(CoreCall::query_protocol), query_protocol},
    {number(CoreCall::configure_vtom), configure_vtom},
    {number(AttestationCall::services), attest_services},
    {number(AttestationCall::single_service), attest_single_service},
    {number(VtpmCall::query), vtpm_query},
    {number(VtpmCall::command), vtpm_command},
};

}  // namespace

bool is_offered(const Request& request, Protocol protocol) {
  return protocol == Protocol::core || protocol == Protocol::attestation ||
         (protocol == Protocol::vtpm && request.vtpm != nullptr);
}

ResultCode dispatch(Request& request) {
  const u64 call = request.registers.rax;
  if (!is_offered(request, protocol_of(call))) {
    return ResultCode::unsupported_protocol;
  }
  for (const Row& row : rows) {
    if (row.call == call) {
      return row.handler(request);
    }
  }
  return ResultCode::unsupported_call;
}

}  // namespace softsnp::svsm
