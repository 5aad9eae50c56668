#include "hypervisor/host/rmp.hpp"

#include <cerrno>

#include "arch/psp/guest_buffers.hpp"

namespace softsnp::host {
namespace {

// Another processor may hold the entry for a moment (FAIL_INUSE), or a neighbour's size is being
// changed (FAIL_OVERLAP): Linux retries for ever, we give up some time.
constexpr int max_attempts = 16;

Error rmp_error(const char* what, snp::RmpResult result) {
  return {
      EIO, 0,
      std::string(what) + ": RMP instruction returned " + std::to_string(static_cast<u32>(result))};
}

bool worth_retrying(snp::RmpResult result) {
  return result == snp::RmpResult::fail_inuse || result == snp::RmpResult::fail_overlap;
}

}  // namespace

Result<void, Error> Rmp::update(SystemPhysical page, const snp::RmpUpdate& value,
                                const char* what) {
  const auto size = static_cast<PageSize>(value.page_size);
  DirectMap& direct_map = memory_.direct_map();
  const bool was_assigned = direct_map.is_assigned(page);
  direct_map.before_update(page, size, value.assigned != 0);
  auto done = execute(page, value, what);
  direct_map.after_update(page, size, done ? value.assigned != 0 : was_assigned);
  return done;
}

Result<void, Error> Rmp::execute(SystemPhysical page, const snp::RmpUpdate& value,
                                 const char* what) {
  snp::RmpResult last = snp::RmpResult::success;
  for (int attempt = 0; attempt < max_attempts; ++attempt) {
    const auto result = memory_.port().rmpupdate(page, value);
    if (!result) {
      return Failure{Error{EIO, 0, std::string(what) + ": RMPUPDATE raised an exception"}};
    }
    last = *result;
    if (last == snp::RmpResult::success) {
      return {};
    }
    if (!worth_retrying(last)) {
      break;
    }
  }
  return Failure{rmp_error(what, last)};
}

Result<void, Error> Rmp::assign(SystemPhysical page, PageSize size, GuestPhysical gpa, Asid asid,
                                Immutable immutable) {
  snp::RmpUpdate value;
  value.gpa = gpa.value();
  value.assigned = 1;
  value.page_size = static_cast<u8>(size);
  value.immutable = immutable == Immutable::yes ? 1 : 0;
  value.asid = number(asid);
  return update(page, value, "assigning a page to a guest");
}

Result<void, Error> Rmp::make_hypervisor(SystemPhysical page, PageSize size) {
  snp::RmpUpdate value;
  value.page_size = static_cast<u8>(size);
  return update(page, value, "taking a page from a guest");
}

Result<void, Error> Rmp::make_firmware(SystemPhysical page) {
  snp::RmpUpdate value;
  value.assigned = 1;
  value.immutable = 1;
  return update(page, value, "giving a page to the firmware");
}

Result<void, Error> Rmp::lock(SystemPhysical page) {
  snp::RmpUpdate value = read(page);
  value.immutable = 1;
  return update(page, value, "locking a guest's page");
}

Result<void, Error> Rmp::unlock(SystemPhysical page, PageSize size) {
  psp::SnpPageReclaim buffer{};
  buffer.page_paddr = page.value() | static_cast<u64>(size);
  const psp::Status status = psp_.command(psp::Command::snp_page_reclaim, buffer);
  if (status != psp::Status::success) {
    return Failure{Error{EIO, static_cast<u16>(status), "SNP_PAGE_RECLAIM failed"}};
  }
  return {};
}

Result<void, Error> Rmp::reclaim(SystemPhysical page, PageSize size) {
  psp::SnpPageReclaim buffer{};
  buffer.page_paddr = page.value() | static_cast<u64>(size);
  const psp::Status status = psp_.command(psp::Command::snp_page_reclaim, buffer);
  if (status != psp::Status::success) {
    memory_.leak(page, size);
    return Failure{Error{EIO, static_cast<u16>(status), "SNP_PAGE_RECLAIM failed, page leaked"}};
  }
  auto taken = make_hypervisor(page, size);
  if (!taken) {
    memory_.leak(page, size);
  }
  return taken;
}

Result<void, Error> Rmp::psmash(SystemPhysical large_page) {
  snp::RmpResult last = snp::RmpResult::success;
  for (int attempt = 0; attempt < max_attempts; ++attempt) {
    const auto result = memory_.port().psmash(large_page);
    if (!result) {
      return Failure{Error{EIO, 0, "PSMASH raised an exception"}};
    }
    last = *result;
    if (last == snp::RmpResult::success) {
      return {};
    }
    if (last != snp::RmpResult::fail_inuse) {
      break;
    }
  }
  if (read(large_page).page_size == 0) {
    return {};
  }
  return Failure{rmp_error("splitting a 2 MiB page", last)};
}

snp::RmpUpdate Rmp::read(SystemPhysical page) {
  snp::RmpUpdate entry;
  const auto result = memory_.port().rmpread(page, entry);
  if (!result || *result != snp::RmpResult::success) {
    return {};
  }
  entry.page_size &= 1;
  return entry;
}

Result<SystemPhysical, Error> Rmp::allocate_firmware() {
  const std::optional<SystemPhysical> page = memory_.allocate(PageSize::size_4k);
  if (!page) {
    return Failure{Error{ENOMEM, 0, "no memory for a firmware page"}};
  }
  if (auto made = make_firmware(*page); !made) {
    memory_.release(*page, PageSize::size_4k);
    return Failure{made.error()};
  }
  return *page;
}

void Rmp::release_firmware(SystemPhysical page) {
  if (reclaim(page, PageSize::size_4k)) {
    memory_.release(page, PageSize::size_4k);
  }
}

}  // namespace softsnp::host
