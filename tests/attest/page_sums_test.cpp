// Sums of pages: the same with one thread and with several, with and without runs of equal pages.
#include "attest/page_sums.hpp"

#include <gtest/gtest.h>

#include "attest/sha.hpp"
#include "attest/text.hpp"

namespace softsnp::attest::test {
namespace {

TEST(PageSums, EachPagesOwn) {
  Sha384 sha;
  for (const usize count : {0u, 1u, 2u, 127u, 128u, 255u, 256u, 257u, 511u, 1023u, 1025u}) {
    std::vector<u8> bytes(count * page_size, 0xFF);
    for (usize page = 0; page < count; ++page) {
      if (page % 7 < 3) {  // the others are runs of equal pages
        bytes[page * page_size + page % page_size] = static_cast<u8>(page);
      }
    }
    const auto sums = page_sums(bytes);
    ASSERT_EQ(sums.size(), count);
    for (usize page = 0; page < count; ++page) {
      const auto expected = sha(std::span(bytes).subspan(page * page_size, page_size));
      ASSERT_EQ(hex_text(sums[page].bytes), hex_text(expected.bytes)) << page << " of " << count;
    }
  }
}

}  // namespace
}  // namespace softsnp::attest::test
