#include "machine/psp/firmware.hpp"

#include <array>

namespace softsnp::psp {

void refresh_context_image(Firmware& firmware, SystemPhysical context_page, usize bytes) {
  std::array<u8, page_size> image;
  const std::span<u8> part = std::span(image).first(bytes);
  derive(firmware.config.seed, RandomStream::context_image, ++firmware.state.context_images,
         firmware.sha, part);
  firmware.port.write(context_page, part);
}

}  // namespace softsnp::psp
