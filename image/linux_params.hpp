// Linux' zero page for a plan. linux-boot sheet 1.5.
#pragma once

#include "arch/boot/boot_params.hpp"
#include "image/launch_plan.hpp"

namespace softsnp::image {

// header: the image's own, or a synthetic one where the file has none (ELF64). Only as much of it
// as it declares is copied. Command line, initrd and RSDP come from the plan's layout.
boot::BootParams linux_params(const LaunchPlan& plan, const boot::SetupHeader& header);

// What a bzImage of protocol 2.15 would say, for images without a setup header.
boot::SetupHeader synthetic_header();

}  // namespace softsnp::image
