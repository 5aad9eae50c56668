// ATTEST_SERVICES and ATTEST_SINGLE_SERVICE. SVSM sheet 5.
#include "arch/svsm/attestation.hpp"
#include "guest/svsm/manifest.hpp"
#include "guest/svsm/report_data.hpp"
#include "guest/svsm/request.hpp"

namespace softsnp::svsm {
namespace {

Stretch buffer(u64 gpa, u64 size) {
  return {GuestPhysical(gpa), size};
}

template <usize N>
bool is_zero(const u8 (&bytes)[N]) {
  u8 all = 0;
  for (const u8 byte : bytes) {
    all |= byte;
  }
  return all == 0;
}

bool is_well_formed(const AttestRequest& in) {
  const bool reserved =
      in.reserved_0c == 0 && is_zero(in.reserved_1a) && in.reserved_2c == 0 && in.reserved_3c == 0;
  const bool aligned = is_aligned(in.report_gpa | in.manifest_gpa | in.certificates_gpa, page_size);
  const bool nonce_in_page = (in.nonce_gpa & page_offset_mask) + in.nonce_size <= page_size;
  return reserved && aligned && in.nonce_size == nonce_bytes && nonce_in_page &&
         in.certificates_size <= max_certificates_bytes;
}

// Nobody else's memory; the caller's own Calling Area may hold the nonce.
bool is_callers(const Request& request, const Stretch& range) {
  return range.bytes == 0 || request.state.is_free(range, &request.caller);
}

ResultCode check(const Request& request, const AttestRequest& in) {
  if (!is_well_formed(in)) {
    return ResultCode::invalid_parameter;
  }
  const bool addresses = is_callers(request, buffer(in.report_gpa, in.report_size)) &&
                         is_callers(request, buffer(in.nonce_gpa, in.nonce_size)) &&
                         is_callers(request, buffer(in.manifest_gpa, in.manifest_size)) &&
                         is_callers(request, buffer(in.certificates_gpa, in.certificates_size));
  return addresses ? ResultCode::success : ResultCode::invalid_address;
}

// RCX, RDX, R8: what there is, or what room it takes.
void tell_sizes(Request& request, u32 manifest, u32 certificates) {
  request.registers.rcx = manifest;
  request.registers.rdx = certificates;
  request.registers.r8 = sizeof(psp::AttestationReport);
}

ResultCode write_answer(Request& request, const AttestRequest& in, const Manifest& manifest,
                        const psp::AttestationReport& report, const Certificates& certificates) {
  Platform& platform = request.platform;
  const bool written =
      write_value(platform, GuestPhysical(in.report_gpa), report) &&
      platform.write(GuestPhysical(in.manifest_gpa), manifest.bytes, manifest.size) &&
      (certificates.size == 0 ||
       platform.write(GuestPhysical(in.certificates_gpa), certificates.bytes, certificates.size));
  return written ? ResultCode::success : ResultCode::invalid_address;
}

ResultCode attest(Request& request, const AttestRequest& in, const Manifest& manifest) {
  if (in.report_size < sizeof(psp::AttestationReport) || in.manifest_size < manifest.size) {
    tell_sizes(request, manifest.size, 0);
    return ResultCode::invalid_parameter;
  }
  u8 nonce[nonce_bytes];
  if (!request.platform.read(GuestPhysical(in.nonce_gpa), nonce, sizeof nonce)) {
    return ResultCode::invalid_address;
  }
  u8 data[64];
  make_report_data(nonce, manifest, data);
  psp::AttestationReport report;
  const ReportAnswer answer = request.reporter.report(data, in.certificates_size, report);
  const Certificates& certificates = answer.certificates;
  switch (answer.outcome) {
    case ReportAnswer::Outcome::busy:
      return ResultCode::busy;
    case ReportAnswer::Outcome::refused:
      return ResultCode::invalid_request;
    case ReportAnswer::Outcome::needs_room:
      tell_sizes(request, manifest.size, certificates.size);
      return ResultCode::invalid_parameter;
    case ReportAnswer::Outcome::done:
      break;
  }
  tell_sizes(request, manifest.size, certificates.size);
  return write_answer(request, in, manifest, report, certificates);
}

template <class T>
ResultCode copy_in(Request& request, T& in) {
  const GuestPhysical at(request.registers.rcx);
  const bool copied = is_callers(request, {at, sizeof in}) && read_value(request.platform, at, in);
  return copied ? ResultCode::success : ResultCode::invalid_address;
}

}  // namespace

ResultCode attest_services(Request& request) {
  AttestRequest in;
  if (const ResultCode copied = copy_in(request, in); copied != ResultCode::success) {
    return copied;
  }
  if (const ResultCode checked = check(request, in); checked != ResultCode::success) {
    return checked;
  }
  return attest(request, in, services_manifest(request.vtpm));
}

// An unknown service is answered as COCONUT-SVSM does; no other witness is known.
ResultCode attest_single_service(Request& request) {
  AttestSingleServiceRequest in;
  if (const ResultCode copied = copy_in(request, in); copied != ResultCode::success) {
    return copied;
  }
  if (const ResultCode checked = check(request, in.common); checked != ResultCode::success) {
    return checked;
  }
  if (in.reserved_54 != 0 || in.manifest_version != 0) {
    return ResultCode::invalid_parameter;
  }
  Manifest manifest;
  if (!service_manifest(request.vtpm, in.service, manifest)) {
    return ResultCode::unsupported_protocol;
  }
  return attest(request, in.common, manifest);
}

}  // namespace softsnp::svsm
