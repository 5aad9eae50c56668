// The conformance cases over the handlers alone; tests/end_to_end runs the same in the machine.
#include "guest/svsm_conformance/cases.hpp"
#include "tests/guest/svsm/expectations.hpp"

namespace softsnp::svsm::test {
namespace {

using conformance::Place;

class NativeStage final : public conformance::Stage {
 public:
  const conformance::Facts& facts() const override { return facts_; }
  GuestPhysical at(Place place) const override {
    return GuestPhysical(0x301000 + static_cast<u64>(place) * page_size);
  }
  void write(GuestPhysical to, const void* from, usize size) override {
    ASSERT_TRUE(world.platform.write(to, from, size));
  }
  void read(GuestPhysical from, void* to, usize size) override {
    ASSERT_TRUE(world.platform.read(from, to, size));
  }
  bool is_validated(GuestPhysical page) override { return world.platform.at(page).validated; }
  Registers call(const Registers& in, u8 pending) override {
    world.call(in.rax, in, 0, pending);
    return world.out;
  }
  u8 pending() const override { return world.platform.load<u8>(world.state.vcpus[0].calling_area); }
  void judge(const char* name, bool good, u64 got, u64 expected) override {
    EXPECT_TRUE(good) << name << std::hex << ": got " << got << ", expected " << expected;
    ++judged;
  }
  World world;
  unsigned judged = 0;

 private:
  conformance::Facts facts_{own_memory.start,  own_memory.bytes,        World::startup_ca,
                            World::large_page, GuestPhysical(0x600000), memory_bytes};
};

TEST(Conformance, EveryCallWithEveryClassOfBadArgument) {
  NativeStage stage;
  conformance::run_all(stage);
  EXPECT_GT(stage.judged, 150u);
  expect_closed(stage.world);
}

}  // namespace
}  // namespace softsnp::svsm::test
