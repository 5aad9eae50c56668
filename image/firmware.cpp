#include "image/firmware.hpp"

#include <algorithm>

#include "image/reader.hpp"

namespace softsnp::image {
namespace {

namespace ovmf = boot::ovmf;
using Done = Result<void, ImageError>;

class Parser {
 public:
  Parser(const File& file, GuestPhysical base)
      : file_(file), firmware_{file, base, {}, {}, {}, {}} {}

  Result<Firmware, ImageError> parse() {
    const u64 behind_table = file_.bytes.size() - std::min<u64>(file_.bytes.size(), tail_bytes);
    const auto footer = read<ovmf::EntryTail>(file_.bytes, behind_table);
    if (!footer || footer->guid != ovmf::footer_guid) {
      return firmware_;
    }
    if (const Done done = walk_table(*footer, behind_table); !done) {
      return pass_on(done);
    }
    return std::move(firmware_);
  }

 private:
  static constexpr u64 tail_bytes = ovmf::reset_vector_bytes + sizeof(ovmf::EntryTail);

  Done walk_table(const ovmf::EntryTail& footer, u64 end);
  Done take_entry(const ovmf::Guid& guid, std::span<const u8> data);
  Done take_metadata(u32 offset_from_end);
  Done take_sections(u64 offset, u32 count);
  Done check_section(const ovmf::MetadataSection& section, const std::string& field) const;
  Done check_disjoint() const;

  template <class T>
  Done take(std::optional<T>& field, std::string_view name, std::span<const u8> data) {
    field = read<T>(data, 0);
    if (!field) {
      return fail(file_.name, name,
                  "expected " + std::to_string(sizeof(T)) + " bytes in the GUID table, got " +
                      std::to_string(data.size()));
    }
    return {};
  }

  const File& file_;
  Firmware firmware_;
};

// Backwards, from the entry in front of the footer. Each step shortens what is left.
Done Parser::walk_table(const ovmf::EntryTail& footer, u64 end) {
  if (footer.length < sizeof footer || footer.length - sizeof footer > end) {
    return fail(file_.name, "GUID table length", "does not fit the file: " + hex(footer.length));
  }
  std::span<const u8> left =
      file_.bytes.subspan(end - (footer.length - sizeof footer), footer.length - sizeof footer);
  while (left.size() >= sizeof(ovmf::EntryTail)) {
    const auto tail = load_le<ovmf::EntryTail>(left.data() + left.size() - sizeof(ovmf::EntryTail));
    if (tail.length < sizeof tail || tail.length > left.size()) {
      return fail(
          file_.name, "GUID table entry length",
          "expected " + hex(sizeof tail) + " to " + hex(left.size()) + ", got " + hex(tail.length));
    }
    const auto entry = left.last(tail.length);
    if (Done done = take_entry(tail.guid, entry.first(entry.size() - sizeof tail)); !done) {
      return done;
    }
    left = left.first(left.size() - tail.length);
  }
  return {};
}

Done Parser::take_entry(const ovmf::Guid& guid, std::span<const u8> data) {
  if (guid == ovmf::hash_table_guid) {
    return take(firmware_.hash_table, "SEV hash table", data);
  }
  if (guid == ovmf::reset_block_guid) {
    return take(firmware_.reset_eip, "SEV-ES reset block", data);
  }
  if (guid == ovmf::svsm_info_guid) {
    return take(firmware_.svsm_launch_offset, "SVSM info", data);
  }
  if (guid == ovmf::metadata_guid) {
    std::optional<u32> offset;
    if (Done done = take(offset, "SEV metadata offset", data); !done) {
      return done;
    }
    return take_metadata(*offset);
  }
  return {};
}

Done Parser::take_metadata(u32 offset_from_end) {
  const u64 size = file_.bytes.size();
  const u64 offset = size - std::min<u64>(size, offset_from_end);
  const auto header = offset_from_end <= size ? read<ovmf::MetadataHeader>(file_.bytes, offset)
                                              : std::optional<ovmf::MetadataHeader>();
  if (!header) {
    return fail(file_.name, "SEV metadata offset", hex(offset_from_end) + " is outside the file");
  }
  if (header->signature != ovmf::MetadataHeader::signature_value) {
    return fail(file_.name, "SEV metadata signature", "expected \"ASEV\"");
  }
  if (header->version != 1) {
    return fail(file_.name, "SEV metadata version",
                "expected 1, got " + std::to_string(header->version));
  }
  const u64 needed = sizeof *header + u64{header->count} * sizeof(ovmf::MetadataSection);
  if (header->length < needed || !contains(file_.bytes, offset, header->length)) {
    return fail(file_.name, "SEV metadata length",
                "expected at least " + hex(needed) + " bytes within the file for " +
                    std::to_string(header->count) + " sections, got " + hex(header->length));
  }
  return take_sections(offset + sizeof *header, header->count);
}

Done Parser::take_sections(u64 offset, u32 count) {
  firmware_.sections.emplace();
  for (u32 i = 0; i < count; ++i) {
    const auto section =
        load_le<ovmf::MetadataSection>(&file_.bytes[offset + i * sizeof(ovmf::MetadataSection)]);
    if (Done done = check_section(section, "SEV metadata section " + std::to_string(i)); !done) {
      return done;
    }
    firmware_.sections->push_back({GuestPhysical(section.gpa), section.size, section.type});
  }
  return check_disjoint();
}

Done Parser::check_section(const ovmf::MetadataSection& section, const std::string& field) const {
  if (!is_aligned(section.gpa, page_size) || !is_aligned(section.size, page_size) ||
      section.size == 0 || u64{section.gpa} + section.size > firmware_end.value()) {
    return fail(file_.name, field,
                "expected whole pages below 4 GiB, got " + hex(section.size) + " bytes at " +
                    hex(section.gpa));
  }
  switch (section.type) {
    case ovmf::SectionType::snp_memory:
    case ovmf::SectionType::svsm_calling_area:
      return {};
    case ovmf::SectionType::snp_secrets:
    case ovmf::SectionType::cpuid:
    case ovmf::SectionType::kernel_hashes:
      break;
    default:
      return fail(file_.name, field, "unknown type " + hex(static_cast<u32>(section.type)));
  }
  if (section.size != page_size) {
    return fail(file_.name, field, "expected one page, got " + hex(section.size) + " bytes");
  }
  return {};
}

// Firmware launches no page twice, and a file cannot make the measurement long by repetition.
Done Parser::check_disjoint() const {
  std::vector<FirmwareSection> sorted = *firmware_.sections;
  const GuestPhysical first_page = firmware_.base.page();
  sorted.push_back({first_page, firmware_.base + file_.bytes.size() - first_page, {}});
  std::sort(sorted.begin(), sorted.end(),
            [](const FirmwareSection& a, const FirmwareSection& b) { return a.gpa < b.gpa; });
  for (usize i = 1; i < sorted.size(); ++i) {
    if (sorted[i].gpa < sorted[i - 1].end()) {
      return fail(file_.name, "SEV metadata sections",
                  "page " + hex(sorted[i].gpa.value()) + " would be launched twice");
    }
  }
  return {};
}

}  // namespace

Result<Firmware, ImageError> parse_firmware(const File& file, GuestPhysical end) {
  const u64 size = file.bytes.size();
  if (size == 0 || size > maximum_firmware_size || size > end.value()) {
    return fail(file.name, "size",
                "expected up to " + size_text(std::min(maximum_firmware_size, end.value())) +
                    ", got " + size_text(size));
  }
  return Parser(file, GuestPhysical(end.value() - size)).parse();
}

}  // namespace softsnp::image
