// /dev/sev: what reaches the firmware (firmware sheet 1.6; Linux sev-dev.c).
#include "hypervisor/host/sev_device.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "hypervisor/host/host_kernel.hpp"
#include "tests/hypervisor/fake_port.hpp"

namespace softsnp::host {
namespace {

class SevDeviceTest : public testing::Test {
 protected:
  // The last call's buffer.
  template <class T>
  T sent() const {
    return load_le<T>(port.psp_calls.back().buffer.data());
  }
  usize place(const char* command) const {
    return static_cast<usize>(std::find(port.log.begin(), port.log.end(), command) -
                              port.log.begin());
  }
  test::FakePort port{u64{64} << 20};
  HostKernel host{port};
};

TEST_F(SevDeviceTest, CommitAfterInitialisation) {
  ASSERT_TRUE(host.sev_device.snp_commit().ok());
  EXPECT_LT(place("SNP_INIT_EX"), place("SNP_COMMIT"));
  EXPECT_EQ(sent<psp::SnpCommit>().length, 4u);
  ASSERT_TRUE(host.sev_device.snp_commit().ok());
  EXPECT_EQ(port.count(psp::Command::snp_init_ex), 1u);
}

TEST_F(SevDeviceTest, ConfigIsSentAsItIs) {
  psp::SnpConfig config{};
  config.reported_tcb = {{1, 2, 0, 0, 0, 0, 3, 4}};
  config.flags = psp::SnpConfig::mask_chip_key;
  ASSERT_TRUE(host.sev_device.snp_set_config(config).ok());
  EXPECT_EQ(sent<psp::SnpConfig>().reported_tcb, config.reported_tcb);
  EXPECT_EQ(sent<psp::SnpConfig>().flags, 2u);
}

TEST_F(SevDeviceTest, VlekGoesThroughAPageThatComesBack) {
  ASSERT_TRUE(host.sev_device.snp_commit().ok());
  const u64 before = host.memory.free_pages();
  psp::WrappedVlek wrapped{};
  wrapped.auth_tag[15] = 0x77;
  ASSERT_TRUE(host.sev_device.snp_vlek_load(wrapped).ok());
  const auto load = sent<psp::SnpVlekLoad>();
  EXPECT_EQ(load.length, 0x10u);
  EXPECT_EQ(load.version, 0);
  EXPECT_TRUE(is_aligned(load.vlek_paddr, page_size));
  EXPECT_EQ(host.memory.free_pages(), before);
}

TEST_F(SevDeviceTest, VlekIsInThePageDuringTheCommand) {
  psp::WrappedVlek wrapped{}, seen{};
  wrapped.hashstick[5] = 0x55;
  wrapped.auth_tag[15] = 0x77;
  port.during_psp = [&](const test::FakePort::PspCall& call) {
    if (call.command == psp::Command::snp_vlek_load) {
      const SystemPhysical at(load_le<psp::SnpVlekLoad>(call.buffer.data()).vlek_paddr);
      EXPECT_TRUE(port.load(at, {reinterpret_cast<u8*>(&seen), sizeof seen}).ok());
    }
  };
  ASSERT_TRUE(host.sev_device.snp_vlek_load(wrapped).ok());
  EXPECT_EQ(std::memcmp(&seen, &wrapped, sizeof seen), 0);
}

TEST_F(SevDeviceTest, RefusalsCarryTheStatus) {
  port.psp_status[psp::Command::snp_vlek_load] = psp::Status::bad_svn;
  const auto refused = host.sev_device.snp_vlek_load({});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().firmware, 0x21);
  EXPECT_NE(refused.error().what.find("SNP_VLEK_LOAD"), std::string::npos);
  port.psp_status[psp::Command::snp_config] = psp::Status::invalid_param;
  EXPECT_EQ(host.sev_device.snp_set_config({}).error().firmware, 0x16);
}

}  // namespace
}  // namespace softsnp::host
