#pragma once

namespace softsnp::cli {

inline constexpr const char* version = "0.1.0";

}  // namespace softsnp::cli
