#include "observe/tracer.hpp"

#include <fmt/format.h>

#include <string_view>

#include "machine/memory/rmp/describe.hpp"

namespace softsnp::observe {

// Builds one line; values are plain words and numbers of ours, so nothing needs escaping but what
// text() does. Writes itself at the end of the full expression's scope.
class Tracer::Line {
 public:
  Line(const Tracer& tracer, const char* event, u64 rip = 0) : tracer_(tracer) {
    const Moment now = tracer.view_.moment();
    fmt::format_to(std::back_inserter(text_), R"({{"t":{},"event":"{}","vcpu":{},"vmpl":{})",
                   now.time, event, now.vcpu, number(now.vmpl));
    const u64 at = rip != 0 ? rip : now.rip;
    if (at != 0) {
      hex("rip", at);
      if (const std::string symbol = tracer.symbols_.name_of(at); !symbol.empty()) {
        text("symbol", symbol);
      }
    }
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() {
    text_ += "}\n";
    std::fwrite(text_.data(), 1, text_.size(), tracer_.to_);
  }
  Line& hex(const char* key, u64 value) {
    fmt::format_to(std::back_inserter(text_), R"(,"{}":"{:#x}")", key, value);
    return *this;
  }
  Line& num(const char* key, u64 value) {
    fmt::format_to(std::back_inserter(text_), R"(,"{}":{})", key, value);
    return *this;
  }
  Line& flag(const char* key, bool value) {
    fmt::format_to(std::back_inserter(text_), R"(,"{}":{})", key, value);
    return *this;
  }
  Line& text(const char* key, std::string_view value) {
    fmt::format_to(std::back_inserter(text_), R"(,"{}":")", key);
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
      }
      text_ += c >= 0x20 && c < 0x7F ? c : '?';  // a guest's symbols may be any bytes
    }
    text_ += '"';
    return *this;
  }

 private:
  const Tracer& tracer_;
  std::string text_;
};

void Tracer::rmp_changed(const memory::RmpChange& e) {
  Line(*this, "rmp", e.cause.rip)
      .text("by", name(e.cause.agent))
      .hex("spa", e.page.value())
      .text("before", memory::describe(e.before))
      .text("after", memory::describe(e.after));
}

void Tracer::command_done(const psp::CommandEvent& e) {
  Line line(*this, "psp");
  line.hex("id", e.id).text("command", e.name).text("status", name(e.status));
  if (e.context) {
    line.hex("context", e.context->value());
  }
  if (e.page) {
    line.hex("page", e.page->at.value()).text("page_state", e.page->state);
  }
  line.text("detail", e.detail);
}

void Tracer::launch_finished(const psp::LaunchFinished& e) {
  std::string digest;
  for (const u8 byte : e.launch_digest.bytes) {
    fmt::format_to(std::back_inserter(digest), "{:02x}", byte);
  }
  Line(*this, "launch").num("asid", number(e.asid)).hex("policy", e.policy).text("digest", digest);
}

void Tracer::vc_raised(u64 code, u64 rip) {
  Line(*this, "vc", rip).hex("code", code);
}

void Tracer::npf(u64 info1, GuestPhysical gpa, u64 rip) {
  Line(*this, "npf", rip).hex("info1", info1).hex("gpa", gpa.value());
}

void Tracer::rmp_instruction(const cpu::RmpInstructionEvent& e) {
  static constexpr const char* names[] = {"pvalidate", "rmpadjust", "rmpquery"};
  Line(*this, names[static_cast<unsigned>(e.instruction)], e.rip)
      .hex("gva", e.address.value())
      .hex("gpa", e.gpa.value())
      .hex("spa", e.spa.value())
      .text("size", e.size == PageSize::size_2m ? "2M" : "4K")
      .hex("rdx", e.operand)
      .text("denied", name(e.denied))
      .num("eax", static_cast<u32>(e.result))
      .flag("cf", e.carry);
}

void Tracer::vmrun_refused(const cpu::LastRefusal& e) {
  Line(*this, "vmrun-refused")
      .text("rule", e.rule)
      .hex("value", e.value)
      .hex("expected", e.expected);
}

void Tracer::triple_fault(const cpu::FaultChain& e) {
  std::string vectors;
  for (unsigned i = 0; i < e.count; ++i) {
    fmt::format_to(std::back_inserter(vectors), "{}{}", i == 0 ? "" : " ", e.at[i].vector);
  }
  Line(*this, "triple-fault").text("vectors", vectors);
}

void Tracer::vmgexit(const kvm::VmgexitEvent& e) {
  Line(*this, "vmgexit")
      .text("form", e.msr_protocol ? "msr" : "page")
      .text("code_name", e.name)
      .hex("code", e.code)
      .hex("request", e.request)
      .hex("request2", e.request2)
      .hex("rax", e.rax)
      .hex("rcx", e.rcx)
      .hex("answer", e.answer)
      .hex("answer2", e.answer2);
}

void Tracer::page_state(const kvm::PageStateEvent& e) {
  Line(*this, "page-state")
      .hex("gpa", e.first.value())
      .num("bytes", e.bytes)
      .text("to", e.is_private ? "private" : "shared");
}

void Tracer::npf(const kvm::NpfEvent& e) {
  Line(*this, "npf-handled")
      .hex("gpa", e.gpa.value())
      .hex("info1", e.exitinfo1)
      .text("resolution", name(e.resolution));
}

void Tracer::host_rmp_fault(const kvm::HostRmpFaultEvent& e) {
  Line(*this, "host-rmp-fault").hex("spa", e.address.value()).hex("error", e.error_code);
}

}  // namespace softsnp::observe
