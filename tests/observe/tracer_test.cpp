// Every event is one valid JSON object on one line, with time, vCPU, VMPL, RIP and symbol.
#include "observe/tracer.hpp"

#include "tests/observe/events.hpp"

namespace softsnp::observe {
namespace {

using nlohmann::json;

class TracerTest : public testing::Test {
 protected:
  json only_line() {
    const auto lines = file_.lines();
    EXPECT_EQ(lines.size(), 1u);
    return lines.empty() ? json() : lines.front();
  }
  MemoryFile file_;
  FixedView view_;
  Symbols symbols_;
  Tracer tracer_{file_.file(), view_, symbols_};
};

TEST_F(TracerTest, EveryLineSaysWhenAndWhere) {
  symbols_.add_map(bytes_of("0000000000400ff0 T set_memory_decrypted\n"));
  tracer_.vc_raised(0x72, 0);
  const json line = only_line();
  EXPECT_EQ(line["t"], 1234);
  EXPECT_EQ(line["event"], "vc");
  EXPECT_EQ(line["vcpu"], 1);
  EXPECT_EQ(line["vmpl"], 2);
  EXPECT_EQ(line["rip"], "0x401000");
  EXPECT_EQ(line["symbol"], "set_memory_decrypted+0x10");
  EXPECT_EQ(line["code"], "0x72");
}

TEST_F(TracerTest, TheEventsOwnRipGoesBeforeTheMoments) {
  tracer_.npf(u64{1} << 31, GuestPhysical(0x7000), 0x1234);
  EXPECT_EQ(only_line()["rip"], "0x1234");
}

TEST_F(TracerTest, RmpChangeHasBothEntries) {
  memory::RmpChange change;
  change.page = SystemPhysical(0x5000);
  change.after.set_assigned(true);
  change.cause.agent = memory::RmpAgent::psmash;
  tracer_.rmp_changed(change);
  const json line = only_line();
  EXPECT_EQ(line["by"], name(memory::RmpAgent::psmash));
  EXPECT_EQ(line["spa"], "0x5000");
  EXPECT_NE(line["before"], line["after"]);
}

TEST_F(TracerTest, VmgexitIsDecoded) {
  tracer_.vmgexit({.vcpu = 0, .code = 0x80000010, .name = "page state change", .request = 7});
  const json line = only_line();
  EXPECT_EQ(line["code_name"], "page state change");
  EXPECT_EQ(line["form"], "page");
  EXPECT_EQ(line["code"], "0x80000010");
  EXPECT_EQ(line["request"], "0x7");
}

TEST_F(TracerTest, FirmwareCommandNamesStatusAndPage) {
  psp::CommandEvent event;
  event.id = 0xA1;
  event.name = "SNP_LAUNCH_UPDATE";
  event.status = psp::Status::invalid_page_state;
  event.page = psp::PageView{SystemPhysical(0x9000), PageSize::size_4k, {}, "Hypervisor"};
  event.detail = "not \"Pre-Guest\"";
  tracer_.command_done(event);
  const json line = only_line();
  EXPECT_EQ(line["command"], "SNP_LAUNCH_UPDATE");
  EXPECT_EQ(line["status"], name(psp::Status::invalid_page_state));
  EXPECT_EQ(line["page_state"], "Hypervisor");
  EXPECT_EQ(line["detail"], "not \"Pre-Guest\"");
}

TEST_F(TracerTest, TripleFaultListsItsVectors) {
  cpu::FaultChain chain;
  chain.count = 3;
  chain.at[0].vector = 14;
  chain.at[1].vector = 14;
  chain.at[2].vector = 8;
  tracer_.triple_fault(chain);
  EXPECT_EQ(only_line()["vectors"], "14 14 8");
}

TEST_F(TracerTest, AllEventsAreValidJson) {
  tracer_.rmp_changed({});
  tracer_.command_done({});
  tracer_.launch_finished({});
  tracer_.vc_raised(0x404, 1);
  tracer_.npf(0, GuestPhysical(0), 1);
  tracer_.rmp_instruction({});
  tracer_.vmrun_refused({"a rule", 1, 2});
  tracer_.triple_fault({});
  tracer_.vmgexit({});
  tracer_.page_state({GuestPhysical(0x200000), 0x200000, true});
  tracer_.npf(kvm::NpfEvent{});
  tracer_.host_rmp_fault({SystemPhysical(0x1000), 0x80000003});
  EXPECT_EQ(file_.lines().size(), 12u);
}

TEST_F(TracerTest, HostileSymbolNamesStayText) {
  symbols_.add_map(bytes_of("0000000000401000 T a\"b\\c\xFF\x01z\n"));
  tracer_.vc_raised(0x72, 0);
  EXPECT_EQ(only_line()["symbol"], "a\"b\\c??z+0x0");
}

}  // namespace
}  // namespace softsnp::observe
