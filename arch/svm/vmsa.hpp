// The VM save area page (4096 bytes; also the host save area at HSAVE+400h).
// Hardware sheet 8.1 (APM2 table B-4). Freestanding.
#pragma once

#include "arch/svm/segment.hpp"
#include "base/types.hpp"

namespace softsnp::svm {

template <usize N>
struct Bytes {
  u8 at[N];
};

// Every field of the list at its offset; all other bytes are reserved and live in raw.
union alignas(8) Vmsa {
  u8 raw[page_size];
#define FIELD(offset, type, name)  \
  struct __attribute__((packed)) { \
    u8 before_##name[offset];      \
    type name;                     \
  };
#include "arch/svm/vmsa_fields.inc"
#undef FIELD
};
static_assert(sizeof(Vmsa) == page_size);

struct FieldInfo {
  u32 offset;
  u32 size;
  const char* name;
};

inline constexpr FieldInfo vmsa_fields[] = {
#define FIELD(offset, type, name) {offset, sizeof(type), #name},
#include "arch/svm/vmsa_fields.inc"
#undef FIELD
};

template <usize N>
constexpr bool ordered_without_overlap(const FieldInfo (&fields)[N], u32 limit) {
  u32 end = 0;
  for (const FieldInfo& field : fields) {
    if (field.offset < end) {
      return false;
    }
    end = field.offset + field.size;
  }
  return end <= limit;
}
static_assert(ordered_without_overlap(vmsa_fields, page_size));

}  // namespace softsnp::svm
