// Any guest at the SVSM's door: calls with any registers from two vCPUs, lists and tables written
// anywhere, pages that the host takes away and gives back. Whatever it does, the SVSM's memory and
// the VMSAs stay closed, and what is read is read once.
#include "tests/fuzz/fuzz_bytes.hpp"
#include "tests/guest/svsm/world.hpp"

namespace {

using namespace softsnp;
using namespace softsnp::svsm;
using test::World;

void require(bool condition) {
  if (!condition) {
    __builtin_trap();
  }
}

constexpr GuestPhysical places[] = {World::startup_vmsa,    World::startup_ca,
                                    World::other_ca,        World::new_vmsa,
                                    World::second_vmsa,     World::list,
                                    World::free_page,       World::large_page,
                                    test::own_memory.start, test::own_memory.start - page_size,
                                    GuestPhysical(0xA0000), GuestPhysical(test::memory_bytes)};

// A number that means something, mostly.
u64 number_from(fuzz::Bytes& input) {
  const u8 kind = input.take<u8>();
  if (kind < std::size(places)) {
    return places[kind].value() + (input.take<u16>() & 0xFFF);
  }
  if (kind < 2 * std::size(places)) {
    return places[kind - std::size(places)].value();
  }
  return kind < 128 ? kind - 100 : input.take<u64>();
}

// Only the guest's own pages: it cannot write elsewhere.
void guest_writes(World& world, fuzz::Bytes& input) {
  const GuestPhysical at(number_from(input) & ~u64{7});
  const u64 value = number_from(input);
  const Stretch quad{at, 8};
  if (world.state.is_guests(quad) && world.platform.at(at.page()).validated) {
    world.platform.store(at, value);
  }
}

void host_moves(World& world, fuzz::Bytes& input) {
  const GuestPhysical page = GuestPhysical(number_from(input)).page();
  if (!world.state.is_guests(page_at(page))) {
    return;
  }
  test::FakePage& entry = world.platform.at(page);
  if (entry.assigned && !world.platform.at(page.large_page()).large) {
    entry = {false, false, false, false, {0, 0, 0, 0}};
  } else if (!entry.assigned) {
    entry = {true, false, false, false, {0xFF, 0, 0, 0}};
  }
}

void guest_calls(World& world, fuzz::Bytes& input) {
  const u8 how = input.take<u8>();
  const usize vcpu = how & 1;
  const u64 rax = (how & 2) != 0 ? number_from(input)
                                 : call_number(static_cast<Protocol>(how >> 7), (how >> 2) & 7);
  const Registers in{rax, number_from(input), number_from(input), number_from(input), 0};
  if (!world.state.vcpus[vcpu].exists()) {
    return;
  }
  const u64 result = world.call(rax, in, vcpu, (how & 0x40) != 0 ? input.take<u8>() : u8{1});
  require(world.turn == Turn::idle || result >> 32 == 0 || result == rax);
  for (const auto& [gpa, reads] : world.platform.reads) {
    // Twice: VMSA fields that a call and its handshake look at; pages the call itself names.
    require(reads <= 2 || test::own_memory.overlaps(page_at(GuestPhysical(gpa))) ||
            world.state.vcpus.is_vmsa(page_at(GuestPhysical(gpa))));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Bytes input({data, size});
  World world;
  for (unsigned step = 0; step < 200 && !input.empty(); ++step) {
    switch (input.take<u8>() % 4) {
      case 0:
        host_moves(world, input);
        break;
      case 1:
        guest_writes(world, input);
        break;
      default:
        guest_calls(world, input);
    }
  }
  require(test::violation(world).empty());
  return 0;
}
