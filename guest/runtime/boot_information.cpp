#include "guest/runtime/boot_information.hpp"

namespace softsnp::guest {
namespace {

// A list that is longer was not made by a loader.
constexpr unsigned nodes_allowed = 64;

}  // namespace

bool is_word(const char* text, const char* word) {
  while (*word != 0) {
    if (*text++ != *word++) {
      return false;
    }
  }
  return *text == 0 || *text == ' ';
}

const char* BootInformation::command_line() const {
  const u64 at = u64{params_->ext_cmd_line_ptr} << 32 | params_->header.cmd_line_ptr;
  return at != 0 ? map_.pointer<const char>(GuestPhysical(at)) : "";
}

const char* BootInformation::option(const char* name) const {
  bool begins = true;
  for (const char* at = command_line(); *at != 0; ++at) {
    const char* left = at;
    const char* right = name;
    while (begins && *right != 0 && *left == *right) {
      ++left;
      ++right;
    }
    if (begins && *right == 0 && *left == '=') {
      return left + 1;
    }
    begins = *at == ' ';
  }
  return nullptr;
}

const boot::CcBlob* BootInformation::blob() const {
  u64 at = params_->cc_blob_address;
  u64 node = params_->header.setup_data;
  for (unsigned n = 0; at == 0 && node != 0 && n < nodes_allowed; ++n) {
    const auto* here = map_.pointer<const boot::CcBlobNode>(GuestPhysical(node));
    if (here->header.type == boot::SetupDataType::cc_blob) {
      at = here->cc_blob_address;
    }
    node = here->header.next;
  }
  const auto* blob = map_.pointer<const boot::CcBlob>(GuestPhysical(at));
  return at != 0 && blob->magic == boot::cc_blob_magic ? blob : nullptr;
}

Checked<psp::SecretsPage*> BootInformation::secrets() const {
  const boot::CcBlob* found = blob();
  if (found == nullptr || found->secrets_address == 0 ||
      found->secrets_length != sizeof(psp::SecretsPage)) {
    return fail(Cause::secrets_page_bad);
  }
  return map_.pointer<psp::SecretsPage>(GuestPhysical(found->secrets_address));
}

Checked<const psp::CpuidPage*> BootInformation::cpuid_page() const {
  const boot::CcBlob* found = blob();
  if (found == nullptr || found->cpuid_address == 0 ||
      found->cpuid_length < sizeof(psp::CpuidPage)) {
    return fail(Cause::cpuid_page_bad);
  }
  return map_.pointer<const psp::CpuidPage>(GuestPhysical(found->cpuid_address));
}

}  // namespace softsnp::guest
