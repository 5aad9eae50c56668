// An independent model of the RMP, written from the tables of the hardware sheet (3, 4, 5, 6.3) and
// not from the code: a map of the pages that differ from plain hypervisor memory, naive loops over
// it, and answers in words. Design choices where the sheet is silent are marked "choice".
#pragma once

#include <array>
#include <map>
#include <string_view>

namespace softsnp::rmp_model {

using Number = unsigned long long;
using Answer = std::string_view;

inline constexpr Number frames_2m = 512;
inline constexpr Number highest_asid = 1006;

// One page of the RMP that is assigned or immutable; 1 or 512 frames.
struct Page {
  Number frames = 1;
  bool assigned = true;
  Number asid = 0;
  Number gpa = 0;
  bool immutable = false;
  bool validated = false;
  bool vmsa = false;
  bool locked = false;
  std::array<unsigned, 4> masks{};
};

struct Operand {  // of RMPUPDATE
  Number gpa;
  bool assigned, two_megabytes, immutable;
  Number asid;
};

struct Caller {  // of a guest instruction, and where its operand led
  Number asid, vmpl;
  Number frame, gpa;
  bool nested_2m;
};

struct Demand {
  enum Who { host, guest, snp_guest, device } who;
  enum What { read, write, fetch, walk } what;
  bool c_bit, user;
  Caller at;
};

class Model {
 public:
  explicit Model(Number covered) : covered_(covered) {}

  std::map<Number, Page> pages;   // by first frame
  std::map<Number, int> running;  // in-use marks by frame

  bool covered(Number frame) const { return frame < covered_; }

  // The page that contains the frame, or null: hypervisor.
  const Page* page_of(Number frame) const {
    const auto whole = pages.find(frame - frame % frames_2m);
    if (whole != pages.end() && whole->second.frames == frames_2m) return &whole->second;
    const auto own = pages.find(frame);
    return own == pages.end() ? nullptr : &own->second;
  }
  Page* page_of(Number frame) {
    return const_cast<Page*>(static_cast<const Model*>(this)->page_of(frame));
  }
  bool assigned(Number frame) const {
    const Page* page = page_of(frame);
    return page != nullptr && page->assigned;
  }
  Number assigned_to(Number asid) const {
    Number total = 0;
    for (const auto& [first, page] : pages) {
      if (page.assigned && page.asid == asid) total += page.frames;
    }
    return total;
  }

  // ---- 4.4
  Answer rmpupdate(Number spa, const Operand& in, Number running_asid) {
    const Number frame = spa / 4096;
    const Number count = in.two_megabytes ? frames_2m : 1;
    if (running_asid != 0) return "FAIL_PERMISSION";
    if (in.two_megabytes && frame % frames_2m != 0) return "FAIL_INPUT";
    if (!in.assigned && (in.immutable || in.asid != 0)) return "FAIL_INPUT";
    if (in.asid > highest_asid || in.gpa >= (1ull << 51)) return "FAIL_INPUT";  // 11
    for (Number i = 0; i < count; ++i) {
      if (!covered(frame + i)) return "FAIL_INPUT";
    }
    if (somebody_uses(frame, count)) return "FAIL_INUSE";
    const auto old = pages.find(frame);
    if (old != pages.end() && old->second.immutable) return "FAIL_PERMISSION";
    if (!in.two_megabytes) {
      const Page* there = page_of(frame);
      if (there != nullptr && there->frames == frames_2m) return "FAIL_OVERLAP";
    } else {
      for (Number i = 1; i < frames_2m; ++i) {
        const auto small = pages.find(frame + i);
        if (small != pages.end() && small->second.assigned) return "FAIL_OVERLAP";
      }
      for (Number i = 1; i < frames_2m; ++i) {  // choice: HV-Fixed pages stay
        const auto small = pages.find(frame + i);
        if (small != pages.end() && small->second.immutable) return "FAIL_PERMISSION";
      }
    }
    if (!in.assigned) {
      pages.erase(frame);
      return "SUCCESS";
    }
    const Number gpa = in.gpa - in.gpa % 4096;
    const bool same = old != pages.end() && old->second.assigned && old->second.asid == in.asid &&
                      old->second.gpa == gpa && old->second.frames == count && in.asid != 0;
    Page page;
    if (same) {
      page = old->second;
      page.locked = false;
    } else {
      page.masks = {0xFF, 0, 0, 0};
    }
    page.frames = count;
    page.asid = in.asid;
    page.gpa = gpa;
    page.immutable = in.immutable;
    pages[frame] = page;
    return "SUCCESS";
  }

  // ---- 4.5
  Answer psmash(Number spa, Number running_asid) {
    const Number frame = spa / 4096;
    if (running_asid != 0) return "FAIL_PERMISSION";
    if (spa % (frames_2m * 4096) != 0 || !covered(frame)) return "FAIL_INPUT";
    if (somebody_uses(frame, frames_2m)) return "FAIL_INUSE";
    const auto old = pages.find(frame);
    if (old == pages.end() || !old->second.assigned || old->second.frames != frames_2m ||
        old->second.immutable) {
      return "not eligible";
    }
    Page part = old->second;
    part.frames = 1;
    for (Number i = 0; i < frames_2m; ++i) {
      pages[frame + i] = part;
      part.gpa += 4096;
    }
    return "SUCCESS";
  }

  // ---- 4.8
  Answer rmpread(Number frame, Number running_asid, Operand& out, bool& region_has_small) const {
    if (running_asid != 0) return "FAIL_PERMISSION";
    if (!covered(frame)) return "FAIL_INPUT";
    const auto own = pages.find(frame);
    out = Operand{0, assigned(frame), false, false, 0};  // a tail shows Assigned only
    if (own != pages.end()) {
      const Page& page = own->second;
      out = Operand{page.gpa, page.assigned, page.frames == frames_2m, page.immutable, page.asid};
    }
    region_has_small = false;
    const Number first = frame - frame % frames_2m;
    for (auto it = pages.lower_bound(first); it != pages.end() && it->first < first + frames_2m;
         ++it) {
      region_has_small = region_has_small || (it->second.assigned && it->second.frames == 1);
    }
    return "SUCCESS";
  }

  // ---- 4.6
  Answer pvalidate(const Caller& by, bool want_2m, bool va_aligned, bool validate) {
    if (want_2m && !va_aligned) return "FAIL_INPUT";
    if (const Answer no = not_mine(by); !no.empty()) return no;
    Page& page = *page_of(by.frame);
    if (const Answer no = wrong_size(by, page, want_2m); !no.empty()) return no;
    if (page.validated == validate) return "no change";
    page.validated = validate;
    return "SUCCESS";
  }

  // ---- 4.7
  Answer rmpadjust(const Caller& by, bool want_2m, bool va_aligned, Number target, unsigned mask,
                   bool vmsa) {
    if (want_2m && !va_aligned) return "FAIL_INPUT";
    if (target > 3) return "FAIL_INPUT";
    if (target <= by.vmpl) return "FAIL_PERMISSION";
    if (const Answer no = not_mine(by); !no.empty()) return no;
    Page& page = *page_of(by.frame);
    if (!page.validated) return "#VC Validated";
    if (const Answer no = wrong_size(by, page, want_2m); !no.empty()) return no;
    for (unsigned right = 1; right < 256; right *= 2) {
      const bool asked = (mask & right) != 0, held = (page.masks[by.vmpl] & right) != 0;
      if (asked && !held) return "FAIL_PERMISSION";
    }
    page.masks[target] = mask;
    if (by.vmpl == 0) page.vmsa = vmsa;
    return "SUCCESS";
  }

  // ---- 4.8; choice: code 2 for a target above the caller or none, then 4.7 rows 4 and 5
  Answer rmpquery(const Caller& by, Number target, Page& out) const {
    if (target < by.vmpl || target > 3) return "FAIL_PERMISSION";
    if (const Answer no = not_mine(by); !no.empty()) return no;
    out = *page_of(by.frame);
    return out.validated ? "SUCCESS" : "#VC Validated";
  }

  // ---- 5.2
  Answer access(const Demand& d) const {
    const bool writes = d.what == Demand::write || d.what == Demand::walk;
    if (d.who == Demand::snp_guest &&
        (d.c_bit || d.what == Demand::fetch || d.what == Demand::walk)) {
      return private_access(d);
    }
    const bool must_be_hypervisors = writes || d.who == Demand::device;
    if (!must_be_hypervisors) return "allowed";
    const Number first = d.at.nested_2m ? d.at.frame - d.at.frame % frames_2m : d.at.frame;
    for (Number i = 0; i < (d.at.nested_2m ? frames_2m : 1); ++i) {
      if (covered(first + i) && assigned(first + i)) return "Hypervisor-Owned";
    }
    return "allowed";
  }

  // ---- 6.3
  Answer vmsa_of(Number frame, Number asid) const {
    if (!covered(frame)) return "RMP-Covered";
    const Page* page = page_of(frame);
    if (page == nullptr || !page->assigned || page->asid != asid) return "Guest-Owned";
    if (page->immutable) return "Mutable";
    return page->vmsa ? "allowed" : "VMSA";
  }

 private:
  Number covered_;

  bool somebody_uses(Number frame, Number count) const {
    for (Number i = 0; i < count; ++i) {
      const auto mark = running.find(frame + i);
      if (mark != running.end() && mark->second > 0) return true;
      // choice: the lock bit next to Immutable is the firmware's copy of it and no update
      const auto page = pages.find(frame + i);
      if (page != pages.end() && page->second.locked && !page->second.immutable) return true;
    }
    return false;
  }

  // Covered, Guest-Owned, Reverse-Map, Mutable; empty: passes.
  Answer not_mine(const Caller& by) const {
    if (!covered(by.frame)) return "RMP-Covered";
    const Page* page = page_of(by.frame);
    if (page == nullptr || !page->assigned || page->asid != by.asid) return "Guest-Owned";
    const Number size = page->frames * 4096;
    if (by.gpa - by.gpa % size != page->gpa) return "Reverse-Map";
    return page->immutable ? "Mutable" : "";
  }

  // 5.3, second matrix; empty: passes.
  static Answer wrong_size(const Caller& by, const Page& page, bool want_2m) {
    const bool rmp_2m = page.frames == frames_2m;
    if (!by.nested_2m && !rmp_2m) return want_2m ? "FAIL_SIZEMISMATCH" : "";
    if (!by.nested_2m && rmp_2m) return want_2m ? "Page-Size" : "Page-Size SIZEM";
    if (by.nested_2m && rmp_2m) return want_2m ? "" : "Page-Size SIZEM";
    return want_2m ? "FAIL_SIZEMISMATCH" : "Page-Size";
  }

  Answer private_access(const Demand& d) const {
    if (const Answer no = not_mine(d.at); !no.empty()) return no;
    const Page& page = *page_of(d.at.frame);
    if ((page.frames == frames_2m) != d.at.nested_2m) return "Page-Size";
    if (!page.validated) return "Validated";
    const unsigned mask = page.masks[d.at.vmpl];
    const bool r = (mask & 1) != 0, w = (mask & 2) != 0, xu = (mask & 4) != 0, xs = (mask & 8) != 0;
    bool enough = false;
    if (d.what == Demand::read || d.what == Demand::walk) enough = r;  // walk: choice
    if (d.what == Demand::write) enough = r && w;
    if (d.what == Demand::fetch) enough = d.user ? xu : xs;
    return enough ? "allowed" : "VMPL";
  }
};

}  // namespace softsnp::rmp_model
