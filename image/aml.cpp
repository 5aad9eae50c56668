#include "image/aml.hpp"

#include "base/bits.hpp"

namespace softsnp::image::aml {
namespace {

constexpr u8 zero_op = 0x00, one_op = 0x01, name_op = 0x08, byte_prefix = 0x0A, word_prefix = 0x0B,
             dword_prefix = 0x0C, qword_prefix = 0x0E, scope_op = 0x10, buffer_op = 0x11,
             package_op = 0x12, ext_prefix = 0x5B, device_op = 0x82, root_char = 0x5C;

// 6.4.2: small resource descriptors, tag in [6:3], length in [2:0].
constexpr u8 irq_no_flags_tag = 0x22, io_tag = 0x47, end_tag = 0x79;
constexpr u8 decode_16 = 1, no_checksum = 0;

void append(Term& to, const Term& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// 20.2.4: the length counts its own bytes. One byte up to 63, otherwise a low nibble and up to
// three bytes more.
Term with_length(const Term& body) {
  Term result;
  if (body.size() + 1 < 0x40) {
    result.push_back(static_cast<u8>(body.size() + 1));
  } else {
    usize extra = 1;
    while (body.size() + 1 + extra >= (usize{1} << (4 + 8 * extra))) {
      ++extra;
    }
    const usize length = body.size() + 1 + extra;
    result.push_back(static_cast<u8>((extra << 6) | (length & 0xF)));
    for (usize i = 0; i < extra; ++i) {
      result.push_back(static_cast<u8>(length >> (4 + 8 * i)));
    }
  }
  append(result, body);
  return result;
}

Term prefixed(std::initializer_list<u8> opcode, const Term& rest) {
  Term result(opcode);
  append(result, rest);
  return result;
}

void append_number(Term& to, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) {
    to.push_back(static_cast<u8>(value >> (8 * i)));
  }
}

u8 hex_digit(char c) {
  return static_cast<u8>(c <= '9' ? c - '0' : c - 'A' + 10);
}

}  // namespace

Term concat(std::initializer_list<Term> terms) {
  Term result;
  for (const Term& term : terms) {
    append(result, term);
  }
  return result;
}

Term name_string(std::string_view name) {
  Term result(name.begin(), name.end());
  result.resize(4, '_');
  return result;
}

Term root_name_string(std::string_view name) {
  return prefixed({root_char}, name_string(name));
}

Term integer(u64 value) {
  if (value <= 1) {
    return {value == 0 ? zero_op : one_op};
  }
  const unsigned size = value <= 0xFF ? 1 : value <= 0xFFFF ? 2 : value <= 0xFFFFFFFF ? 4 : 8;
  Term result{size == 1   ? byte_prefix
              : size == 2 ? word_prefix
              : size == 4 ? dword_prefix
                          : qword_prefix};
  append_number(result, value, size);
  return result;
}

// 19.3.4: three letters of five bits, four hexadecimal digits; big-endian.
Term eisa_id(std::string_view id) {
  const auto letter = [&](usize i) { return static_cast<u32>(id[i] - 0x40); };
  u32 value = letter(0) << 26 | letter(1) << 21 | letter(2) << 16;
  for (usize i = 0; i < 4; ++i) {
    value |= static_cast<u32>(hex_digit(id[3 + i])) << (12 - 4 * i);
  }
  return integer(__builtin_bswap32(value));
}

Term package(std::initializer_list<Term> elements) {
  return prefixed({package_op},
                  with_length(prefixed({static_cast<u8>(elements.size())}, concat(elements))));
}

Term buffer(std::span<const u8> bytes) {
  return prefixed({buffer_op},
                  with_length(concat({integer(bytes.size()), Term(bytes.begin(), bytes.end())})));
}

Term name(std::string_view name, const Term& value) {
  return prefixed({name_op}, concat({name_string(name), value}));
}

Term scope(const Term& name_string, std::initializer_list<Term> terms) {
  return prefixed({scope_op}, with_length(concat({name_string, concat(terms)})));
}

Term device(std::string_view name, std::initializer_list<Term> terms) {
  return prefixed({ext_prefix, device_op}, with_length(concat({name_string(name), concat(terms)})));
}

Term io_ports(u16 base, u8 count) {
  Term result{io_tag, decode_16};
  append_number(result, base, 2);
  append_number(result, base, 2);
  result.push_back(0);  // alignment: none
  result.push_back(count);
  return result;
}

Term irq(u8 line) {
  Term result{irq_no_flags_tag};
  append_number(result, bit(line), 2);
  return result;
}

Term resources(std::initializer_list<Term> descriptors) {
  return buffer(concat({concat(descriptors), Term{end_tag, no_checksum}}));
}

}  // namespace softsnp::image::aml
