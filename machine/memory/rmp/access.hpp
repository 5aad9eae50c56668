// The RMP access decision: who asks, for what, and the verdict. One function for guest, host and
// device alike. Hardware sheet 5.1-5.4 (APM2 15.36.10, tables 15-37..15-39).
#pragma once

#include "arch/address.hpp"
#include "arch/snp/rmp.hpp"

namespace softsnp::memory {

enum class AskerKind : u8 {
  host,       // host software on a core
  guest,      // guest without SNP (plain, SEV, SEV-ES)
  snp_guest,  // guest with SNPActive
  device,     // DMA through the IOMMU
};

// Who acts on memory; travels down with each request.
struct Asker {
  AskerKind kind = AskerKind::host;
  Asid asid = Asid::host;
  Vmpl vmpl = Vmpl::vmpl0;
};

enum class AccessKind : u8 {
  read,        // data read
  write,       // data write (and A/D update of a nested table entry)
  fetch,       // instruction fetch
  table_walk,  // access to a page of the asker's own page tables; counts as a write
};

struct AccessRequest {
  Asker asker;
  AccessKind kind = AccessKind::read;
  bool encrypted = false;  // effective C-bit (always taken as set for fetch and table_walk)
  bool user = false;       // CPL 3: selects the execute-user permission of a fetch
  SystemPhysical spa;      // any byte of the page
  GuestPhysical gpa;       // guest kinds: C-bit stripped
  PageSize mapping_size = PageSize::size_4k;  // leaf that produced spa; 1G counts as 2M
};

enum class Rule : u8 {  // hardware sheet 5.1; the first that said no
  none,                 // access allowed
  covered,
  hypervisor_owned,
  guest_owned,
  reverse_map,
  is_mutable,
  page_size,  // NPF/#PF, RMP bit
  validated,  // #VC 404h
  vmpl,       // NPF, RMP and VMPL bits
  vmsa,       // VMRUN only: VMEXIT_INVALID
  in_use,     // RMP instructions: entry in use by another processor
};
const char* name(Rule rule);
const char* name(AskerKind kind);
const char* name(AccessKind kind);

}  // namespace softsnp::memory
