#include "guest/vmpl0/program.hpp"

#include "guest/runtime/ghcb_setup.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/vmpl0/processors.hpp"

extern "C" const char svsm_image_begin[];

namespace softsnp::svsm {
namespace {

constinit Program the_program{};

}  // namespace

Program& program() {
  return the_program;
}

GuestPhysical physical(const volatile void* object) {
  const u64 offset = reinterpret_cast<u64>(object) - reinterpret_cast<u64>(svsm_image_begin);
  return the_program.state.memory.own.start + offset;
}

guest::GhcbClient own_ghcb(Program& program) {
  ghcb::Ghcb& page = svsm_processors.ghcbs[this_processor()];
  return {program.processor, seen_by_host(page), physical(&page), program.protocol.version};
}

}  // namespace softsnp::svsm
