// Which handlers have a form that includes the conditional branch after them.
#include <algorithm>
#include <array>
#include <utility>

#include "machine/cpu/decode/decoder.hpp"
#include "machine/cpu/exec/branch.hpp"
#include "machine/cpu/exec/fused.hpp"

namespace softsnp::cpu {
namespace {

constexpr unsigned conditions = 16;
using ByCondition = std::array<Handler, conditions>;

struct Fusible {
  Handler first;
  ByCondition fused;
};

// Branches on OF and PF are rare: not worth their handlers.
constexpr bool worthwhile(unsigned c) {
  return c / 2 != 0 && c / 2 != 5;
}

using Every = std::make_integer_sequence<unsigned, conditions>;

template <class F, class T, unsigned... C>
constexpr Fusible rr(std::integer_sequence<unsigned, C...>) {
  return {&op_binary_rr<F, T>, {(worthwhile(C) ? &op_fused_rr<C, F, T> : nullptr)...}};
}
template <class F, class T, unsigned... C>
constexpr Fusible ri(std::integer_sequence<unsigned, C...>) {
  return {&op_binary_ri<F, T>, {(worthwhile(C) ? &op_fused_ri<C, F, T> : nullptr)...}};
}
template <class F, class T, unsigned... C>
constexpr Fusible unary(std::integer_sequence<unsigned, C...>) {
  return {&op_unary_r<F, T>, {(worthwhile(C) ? &op_fused_r<C, F, T> : nullptr)...}};
}
template <class F, class T, Addressing A, unsigned... C>
constexpr Fusible mi(std::integer_sequence<unsigned, C...>) {
  return {&BinaryMI<F, T>::template at<A>,
          {(worthwhile(C) ? &FusedMI<C, F, T>::template at<A> : nullptr)...}};
}
template <class F, class T, Addressing A, unsigned... C>
constexpr Fusible mr(std::integer_sequence<unsigned, C...>) {
  return {&BinaryMR<F, T>::template at<A>,
          {(worthwhile(C) ? &FusedMR<C, F, T>::template at<A> : nullptr)...}};
}
template <class F, class T, Addressing A, unsigned... C>
constexpr Fusible rm(std::integer_sequence<unsigned, C...>) {
  return {&BinaryRM<F, T>::template at<A>,
          {(worthwhile(C) ? &FusedRM<C, F, T>::template at<A> : nullptr)...}};
}

template <class F>
constexpr std::array<Fusible, 8> all_sizes() {
  return {rr<F, u8>(Every()),  ri<F, u8>(Every()),  rr<F, u16>(Every()), ri<F, u16>(Every()),
          rr<F, u32>(Every()), ri<F, u32>(Every()), rr<F, u64>(Every()), ri<F, u64>(Every())};
}
template <class F>
constexpr std::array<Fusible, 4> large_sizes() {
  return {rr<F, u32>(Every()), ri<F, u32>(Every()), rr<F, u64>(Every()), ri<F, u64>(Every())};
}
template <class F>
constexpr std::array<Fusible, 2> counting() {
  return {unary<F, u32>(Every()), unary<F, u64>(Every())};
}
template <class F, class T>
constexpr std::array<Fusible, 3> memory_immediate() {
  return {mi<F, T, Addressing::base64>(Every()), mi<F, T, Addressing::flat64>(Every()),
          mi<F, T, Addressing::segment64>(Every())};
}
template <class T>
constexpr std::array<Fusible, 4> compare_memory() {
  return {
      mr<alu::Cmp, T, Addressing::base64>(Every()), mr<alu::Cmp, T, Addressing::flat64>(Every()),
      rm<alu::Cmp, T, Addressing::base64>(Every()), rm<alu::Cmp, T, Addressing::flat64>(Every())};
}

template <usize... N>
constexpr auto join(const std::array<Fusible, N>&... parts) {
  std::array<Fusible, (N + ...)> all{};
  usize at = 0;
  const auto append = [&](const auto& part) {
    for (const Fusible& one : part) {
      all[at++] = one;
    }
  };
  (append(parts), ...);
  return all;
}

constexpr auto fusibles =
    join(all_sizes<alu::Cmp>(), all_sizes<alu::Test>(), large_sizes<alu::Sub>(),
         large_sizes<alu::Add>(), large_sizes<alu::And>(), counting<alu::Inc>(),
         counting<alu::Dec>(), memory_immediate<alu::Cmp, u8>(), memory_immediate<alu::Cmp, u16>(),
         memory_immediate<alu::Cmp, u32>(), memory_immediate<alu::Cmp, u64>(),
         memory_immediate<alu::Test, u8>(), memory_immediate<alu::Test, u32>(),
         compare_memory<u8>(), compare_memory<u32>(), compare_memory<u64>());

template <unsigned... C>
constexpr ByCondition branches(std::integer_sequence<unsigned, C...>) {
  return {&op_jcc<C>...};
}
constexpr ByCondition plain_branches = branches(Every());

}  // namespace

bool Decoder::fuse(Op& first, const Op& second, u64 end_rip) {
  const auto branch = std::find(plain_branches.begin(), plain_branches.end(), second.fn);
  if (branch == plain_branches.end()) {
    return false;
  }
  const auto found = std::find_if(fusibles.begin(), fusibles.end(),
                                  [&](const Fusible& one) { return one.first == first.fn; });
  if (found == fusibles.end()) {
    return false;
  }
  const Handler fused = found->fused[static_cast<usize>(branch - plain_branches.begin())];
  const i64 distance = static_cast<i64>(second.imm - end_rip);
  if (fused == nullptr || distance != static_cast<i32>(distance)) {
    return false;
  }
  first.fn = fused;
  first.imm = fused_immediate(first.imm, static_cast<u64>(distance));
  return true;
}

}  // namespace softsnp::cpu
