#pragma once

#include <gtest/gtest.h>

#include "tests/guest/svsm/world.hpp"

namespace softsnp::svsm::test {

inline void expect_closed(World& world) {
  EXPECT_EQ(violation(world), "");
}

}  // namespace softsnp::svsm::test
