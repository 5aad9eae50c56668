// An owner who trusts the firmware alone: his session begins the launch, the measurement convinces
// him, and the secret he then seals is in the guest's memory when it starts.
#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "tests/end_to_end/guest_run.hpp"
#include "tests/machine/psp/sev_fixture.hpp"

namespace softsnp::end_to_end {
namespace {

using image::Mode;

constexpr GuestPhysical page(0x800000);  // guest_cases.cpp, case_secret
constexpr u64 first = 0x0123456789ABCDEF, second = 0xFEDCBA9876543210;

class Owner final : public vmm::GuestOwner {
 public:
  kvm::SevLaunchStart begin(u32 policy, const psp::SevCertificate& pdh) override {
    policy_ = policy;
    EXPECT_EQ(pdh.usage, static_cast<u32>(psp::SevKeyUsage::pdh));
    const psp::SevCertificate certificate = owner_.certificate();
    const psp::SevSession session = owner_.session(pdh, policy);
    return {policy, bytes_of(certificate), bytes_of(session)};
  }
  std::vector<vmm::LaunchSecret> answer(const kvm::SevMeasurement& measurement) override {
    measurement_ = measurement;
    std::vector<u8> packet(16);
    store_le(packet.data(), first);
    store_le(packet.data() + 8, second);
    const auto header = owner_.seal(packet, measurement.hmac);
    if (spoil) {
      packet[3] ^= 1;
    }
    return {{page, bytes_of(header), packet}};
  }

  bool spoil = false;  // somebody changes the packet on its way

 private:
  template <class T>
  static std::vector<u8> bytes_of(const T& value) {
    const auto* bytes = reinterpret_cast<const u8*>(&value);
    return {bytes, bytes + sizeof value};
  }
  psp::GuestOwner owner_;
  u32 policy_ = 0;
  kvm::SevMeasurement measurement_;
};

GuestOptions secret_case(Mode mode, Owner& owner) {
  GuestOptions options = sample_case("secret");
  options.mode = mode;
  options.policy = mode == Mode::sev ? 1 : 5;
  options.owner = &owner;
  return options;
}

class LaunchSecret : public testing::TestWithParam<Mode> {};

TEST_P(LaunchSecret, IsReadableInTheGuest) {
  Owner owner;
  GuestRun run(secret_case(GetParam(), owner));
  run.run();
  EXPECT_EQ(run.outcome().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  EXPECT_TRUE(run.printed("page at 0x800000: 0x123456789abcdef 0xfedcba9876543210"))
      << run.output();
}

TEST_P(LaunchSecret, ChangedOnItsWayIsRefused) {
  Owner owner;
  owner.spoil = true;
  GuestRun run(secret_case(GetParam(), owner));
  run.run();
  EXPECT_EQ(run.outcome().kind, vmm::OutcomeKind::bad_input);
  EXPECT_NE(run.outcome().text.find("BAD_MEASUREMENT"), std::string::npos) << run.outcome().text;
}

INSTANTIATE_TEST_SUITE_P(Modes, LaunchSecret, testing::Values(Mode::sev, Mode::sev_es));

}  // namespace
}  // namespace softsnp::end_to_end
