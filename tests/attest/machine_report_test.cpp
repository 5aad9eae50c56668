// Reports of the machine's own firmware, verified by code that shares nothing with it, and tampered
// with in every way.
#include <gtest/gtest.h>

#include "tests/attest/tampers.hpp"
#include "tests/attest/test_chain.hpp"
#include "tests/machine/psp/guest_message_fixture.hpp"

namespace softsnp::psp {
namespace {

namespace at = attest::test;

class MachineReport : public GuestMessageTest {
 protected:
  // A chain around the key of this chip.
  std::vector<at::Bytes> chain_for(Product product, const TcbComponents& tcb) {
    at::ChainSpec spec;
    spec.product = product;
    spec.tcb = tcb;
    const auto id = make_chip(psp.config()).id;
    spec.chip_id.assign(id.begin(), id.end());
    const at::TestChain chain = at::make_chain(spec);
    const EcdsaPublicKey key = P384().public_key(vcek(tcb).private_key);
    const auto big_endian = [](const u8* coordinate) {
      return at::Bytes(std::reverse_iterator(coordinate + 48), std::reverse_iterator(coordinate));
    };
    const KeyHandle handle = at::known_public_key(big_endian(key.qx), big_endian(key.qy));
    return {chain.ark, chain.ask, at::make_certificate(at::leaf_spec(spec, handle.get()))};
  }
  using KeyHandle = attest::KeyHandle;

  AttestationReport report_of_version(ReportVersion version) {
    Psp twin({.seed = 1, .report_version = version}, dram, rmp, platform);
    twin.restore(psp.state());
    return exchange<ReportResponse>(MessageType::report_request, report_request(), 0, 1, twin)
        .report;
  }
};

TEST_F(MachineReport, EveryVersionVerifies) {
  start_guest();
  const auto chain = chain_for(Product::genoa, default_tcb(Product::genoa));
  for (const auto version : {ReportVersion::v2, ReportVersion::v3, ReportVersion::v5}) {
    const AttestationReport made = report_of_version(version);
    const at::Finding finding =
        at::examine({at::bytes_of(made), chain, at::exact_policy(made), at::test_time});
    EXPECT_FALSE(finding.bad_input) << *finding.bad_input;
    EXPECT_TRUE(finding.failed.empty()) << finding.failed.begin()->second;
  }
}

TEST_F(MachineReport, EveryTamperedVariantIsRefused) {
  start_guest();
  const AttestationReport made = report_of_version(ReportVersion::v3);
  const at::Subject good{at::bytes_of(made), chain_for(Product::genoa, default_tcb(Product::genoa)),
                         at::exact_policy(made), at::test_time};
  for (const at::FieldTamper& tamper : at::field_tampers()) {
    at::Subject subject = good;
    AttestationReport changed = made;
    tamper.apply(changed);
    subject.report = at::bytes_of(changed);
    std::set<std::string> names = tamper.failing;
    if (!tamper.touches_signature) {
      names.insert("signature");
    }
    EXPECT_EQ(at::examine(subject).names(), names) << tamper.name;
  }
}

}  // namespace
}  // namespace softsnp::psp
