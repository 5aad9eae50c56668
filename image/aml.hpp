// A small ACPI Machine Language encoder: each function returns the bytes of one term. ACPI 6.5
// chapter 20.2; resource descriptors 6.4.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "base/types.hpp"

namespace softsnp::image::aml {

using Term = std::vector<u8>;

Term concat(std::initializer_list<Term> terms);

// A name of one segment; shorter ones are padded with '_'. root: preceded by a backslash.
Term name_string(std::string_view name);
Term root_name_string(std::string_view name);
Term integer(u64 value);
// EISA id of the form "PNP0501".
Term eisa_id(std::string_view id);
Term package(std::initializer_list<Term> elements);
Term buffer(std::span<const u8> bytes);

Term name(std::string_view name, const Term& value);
Term scope(const Term& name_string, std::initializer_list<Term> terms);
Term device(std::string_view name, std::initializer_list<Term> terms);

// Resource descriptors for a _CRS; the end tag is added by resources().
Term io_ports(u16 base, u8 count);
Term irq(u8 line);
Term resources(std::initializer_list<Term> descriptors);

}  // namespace softsnp::image::aml
