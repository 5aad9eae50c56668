// Attestation protocol. SVSM sheet 5.
#include "arch/psp/attestation_report.hpp"
#include "arch/svsm/attestation.hpp"
#include "guest/svsm_conformance/cases.hpp"
#include "guest/svsm_conformance/expect.hpp"

namespace softsnp::conformance {
namespace {

using svsm::AttestRequest;
using svsm::AttestSingleServiceRequest;

AttestRequest good(Stage& stage) {
  AttestRequest request{};
  request.report_gpa = stage.at(Place::report).value();
  request.report_size = page_size;
  request.nonce_gpa = stage.at(Place::nonce).value();
  request.nonce_size = svsm::nonce_bytes;
  request.manifest_gpa = stage.at(Place::manifest).value();
  request.manifest_size = page_size;
  return request;
}

template <class T>
svsm::Registers ask(Stage& stage, const char* name, svsm::AttestationCall call, const T& request,
                    ResultCode expected) {
  const GuestPhysical table = stage.at(Place::table);
  put(stage, table, request);
  return expect_call(stage, name, {number(call), table.value(), ~u64{0}, ~u64{0}, 0x9999},
                     expected);
}

void refused(Stage& stage) {
  constexpr auto services = svsm::AttestationCall::services;
  const u64 own = stage.facts().svsm.value();
  const auto with = [&](const char* name, auto change, ResultCode expected) {
    AttestRequest request = good(stage);
    change(request);
    ask(stage, name, services, request, expected);
  };
  constexpr auto parameter = ResultCode::invalid_parameter, address = ResultCode::invalid_address;
  with(
      "reserved 0x0C", [](auto& r) { r.reserved_0c = 1; }, parameter);
  with(
      "reserved 0x1A", [](auto& r) { r.reserved_1a[0] = 1; }, parameter);
  with(
      "reserved 0x2C", [](auto& r) { r.reserved_2c = 1; }, parameter);
  with(
      "reserved 0x3C", [](auto& r) { r.reserved_3c = 1; }, parameter);
  with(
      "report misaligned", [](auto& r) { r.report_gpa += 8; }, parameter);
  with(
      "manifest misaligned", [](auto& r) { r.manifest_gpa += 8; }, parameter);
  with(
      "certificates misaligned", [](auto& r) { r.certificates_gpa = 8; }, parameter);
  with(
      "nonce of 63 bytes", [](auto& r) { r.nonce_size = 63; }, parameter);
  with(
      "nonce across a page", [](auto& r) { r.nonce_gpa += 0xFC8; }, parameter);
  with(
      "report to SVSM memory", [&](auto& r) { r.report_gpa = own; }, address);
  with(
      "report of 4 GiB", [](auto& r) { r.report_size = ~u32{0}; }, address);
  with(
      "manifest to SVSM memory", [&](auto& r) { r.manifest_gpa = own; }, address);
  with(
      "nonce from SVSM memory", [&](auto& r) { r.nonce_gpa = own; }, address);
  expect_call(stage, "table in SVSM memory", {number(services), own, 0, 0, 0}, address);
}

void too_small(Stage& stage) {
  AttestRequest request = good(stage);
  request.report_size = sizeof(psp::AttestationReport) - 1;
  put(stage, stage.at(Place::manifest), u64{0});
  const svsm::Registers out = ask(stage, "report buffer too small", svsm::AttestationCall::services,
                                  request, ResultCode::invalid_parameter);
  expect(stage, "report buffer too small: says how large", out.r8, sizeof(psp::AttestationReport));
  expect(stage, "report buffer too small: nothing written",
         get<u64>(stage, stage.at(Place::manifest)), 0);
}

void single(Stage& stage) {
  constexpr auto call = svsm::AttestationCall::single_service;
  AttestSingleServiceRequest request{good(stage), {1, 2, 3, {}}, 0, 0};
  ask(stage, "unknown service", call, request, ResultCode::unsupported_protocol);
  request.manifest_version = 1;
  ask(stage, "unknown manifest version", call, request, ResultCode::invalid_parameter);
  request.manifest_version = 0;
  request.reserved_54 = 1;
  ask(stage, "reserved 0x54", call, request, ResultCode::invalid_parameter);
}

}  // namespace

void attestation_cases(Stage& stage) {
  refused(stage);
  too_small(stage);
  single(stage);
  const svsm::Registers out =
      ask(stage, "attestation", svsm::AttestationCall::services, good(stage), ResultCode::success);
  expect(stage, "attestation: report's size", out.r8, sizeof(psp::AttestationReport));
  expect(stage, "attestation: no certificates", out.rdx, 0);
  const auto header = get<svsm::ServicesManifestHeader>(stage, stage.at(Place::manifest));
  expect(stage, "attestation: manifest's size", out.rcx, header.size);
  expect(stage, "attestation: manifest's name", header.guid == svsm::services_manifest_guid ? 1 : 0,
         1);
}

}  // namespace softsnp::conformance
