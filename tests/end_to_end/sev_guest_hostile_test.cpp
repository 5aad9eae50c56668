// The unmodified sev-guest driver under hosts that lie about its messages, are busy or fail: it
// must do what Linux 6.12, drivers/virt/coco/sev-guest/sev-guest.c says, and never more.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "arch/ghcb/response.hpp"
#include "arch/psp/guest_message.hpp"
#include "arch/psp/status.hpp"
#include "base/bytes.hpp"
#include "lab/lying_messenger.hpp"
#include "tests/end_to_end/guest_lines.hpp"
#include "tests/end_to_end/linux_guest.hpp"

namespace softsnp::end_to_end {
namespace {

using ghcb::exit_info2;
using ghcb::GuestRequestError;
using lab::LyingMessenger;
using Lie = LyingMessenger::Lie;
using Past = LyingMessenger::Past;
using Page = std::span<u8, page_size>;

constexpr u16 sign_port = 0x99;
constexpr usize payload_at = sizeof(psp::GuestMessageHeader);
constexpr u64 pages_claimed = 3;

// What the guest sees: the call during the act, the two after it, and the kernel's log.
struct Expected {
  int error = 0;
  u64 exit_info2 = 0;
  int error_after = 0;
  int error_again = 0;
  std::vector<const char*> log;  // empty: nothing at all
};

struct Act {
  Lie lie;
  Expected expected;
  bool extended = false;
  bool costs_the_key() const { return expected.error_again != 0; }
};

template <class T>
LyingMessenger::Edit set_field(usize offset, T value) {
  return [offset, value](Page page, const Past&) { store_le(page.data() + offset, value); };
}
LyingMessenger::Edit flip(usize offset) {
  return [offset](Page page, const Past&) { page[offset] ^= 0x10; };
}

Lie response(const char* name, LyingMessenger::Edit edit) {
  Lie lie;
  lie.name = name;
  lie.response = std::move(edit);
  return lie;
}
Lie request(const char* name, LyingMessenger::Edit edit) {
  Lie lie;
  lie.name = name;
  lie.request = std::move(edit);
  return lie;
}
// The firmware is not asked.
Lie answer(const char* name, GuestRequestError error, u32 times = ~u32{0}) {
  Lie lie;
  lie.name = name;
  lie.status = u16{0};
  lie.exit_info2 = exit_info2(error);
  lie.times = times;
  return lie;
}
Lie firmware_status(const char* name, psp::Status status) {
  Lie lie;
  lie.name = name;
  lie.status = psp::number(status);
  return lie;
}
Lie claims_pages(Lie lie) {
  lie.rbx = pages_claimed;
  return lie;
}

constexpr const char* disabling = "communication key to prevent IV reuse.";

// verify_and_dec_payload() refuses the response.
Expected undecodable() {
  return {EBADMSG,
          0,
          ENOTTY,
          ENOTTY,
          {"Detected unexpected decode failure from ASP. rc: -74", disabling, "VMPCK is disabled"}};
}
// snp_issue_guest_request() has -EIO for it.
Expected failed(u64 exit_info2, const char* text) {
  return {EIO, exit_info2, ENOTTY, ENOTTY, {text, disabling, "VMPCK is disabled"}};
}

std::vector<Act> acts() {
  using Header = psp::GuestMessageHeader;
  return {
      {response("reply: message size beyond the page",
                set_field(offsetof(Header, message_size), u16{0xFFF0})),
       undecodable()},
      {response("reply: message size too small",
                set_field(offsetof(Header, message_size), u16{64})),
       undecodable()},
      {response("reply: the one before, again",
                [](Page page, const Past& past) {
                  const auto& before = past.back().response;
                  std::copy(before.begin(), before.end(), page.begin());
                }),
       undecodable()},
      {response("reply: a byte of the report altered", flip(payload_at + 0x90)), undecodable()},
      {response("reply: tag altered", flip(3)), undecodable()},
      {response("reply: another sequence number",
                [](Page page, const Past&) {
                  const usize at = offsetof(Header, sequence_number);
                  store_le(page.data() + at, load_le<u64>(page.data() + at) + 2);
                }),
       undecodable()},
      {response("reply: of another type", set_field(offsetof(Header, message_type), u8{4})),
       undecodable()},
      {response("reply: none",
                [](Page page, const Past&) { std::fill(page.begin(), page.end(), u8{0}); }),
       undecodable()},
      {request("request: a byte altered", flip(payload_at + 1)),
       failed(psp::number(psp::Status::bad_measurement),
              "Detected error from ASP request. rc: -5, exitinfo2: 0xb")},
      {request("request: the one before, again",
               [](Page page, const Past& past) {
                 const auto& before = past.back().request;
                 std::copy(before.begin(), before.end(), page.begin());
               }),
       failed(psp::number(psp::Status::aead_oflow),
              "Detected error from ASP request. rc: -5, exitinfo2: 0x1d")},
      {firmware_status("firmware: RESOURCE_LIMIT", psp::Status::resource_limit),
       failed(psp::number(psp::Status::resource_limit),
              "Detected error from ASP request. rc: -5, exitinfo2: 0x17")},
      {answer("host: an error that nobody defined", static_cast<GuestRequestError>(3)),
       failed(0x3'0000'0000, "Detected error from ASP request. rc: -5, exitinfo2: 0x300000000")},
      {answer("host: BUSY for ever", GuestRequestError::busy),
       {ETIMEDOUT,
        exit_info2(GuestRequestError::busy),
        ENOTTY,
        ENOTTY,
        {"Detected error from ASP request. rc: -110, exitinfo2: 0x200000000", disabling}}},
      // The driver counts the message as sent and keeps the key; the firmware never saw it.
      {answer("host: INVALID_LEN to a plain request", GuestRequestError::invalid_length),
       {EIO,
        exit_info2(GuestRequestError::invalid_length),
        EIO,
        ENOTTY,
        {"Detected error from ASP request. rc: -5, exitinfo2: 0x1d", disabling}}},
      {answer("host: BUSY three times", GuestRequestError::busy, 3), {0, 0, 0, 0, {}}},
      {claims_pages(
           answer("host: INVALID_LEN to an extended one", GuestRequestError::invalid_length, 1)),
       {EIO, exit_info2(GuestRequestError::invalid_length), 0, 0, {}},
       true},
  };
}

std::string describe(int error, u64 info) {
  return error == 0 ? "ok" : fmt::format("{} ({:#x})", strerrorname_np(error), info);
}

std::string describe(int error) {
  return error == 0 ? "ok" : strerrorname_np(error);
}

// The call during the act, then the two after it.
std::string text_of(const Expected& expected) {
  return fmt::format("{}, {}, {}", describe(expected.error, expected.exit_info2),
                     describe(expected.error_after), describe(expected.error_again));
}

std::string text_of(const GuestCall& during, const GuestCall& after, const GuestCall& again) {
  return fmt::format("{}, {}, {}", describe(during.error, during.exit_info2), describe(after.error),
                     describe(again.error));
}

// As many acts a boot as there are VMPCKs to lose.
std::vector<std::vector<usize>> boots(const std::vector<Act>& all) {
  std::vector<std::vector<usize>> result(1);
  usize lost = 0;
  for (usize i = 0; i < all.size(); ++i) {
    if (lost == vmpl_count) {
      result.emplace_back();
      lost = 0;
    }
    result.back().push_back(i);
    lost += all[i].costs_the_key() ? 1 : 0;
  }
  return result;
}

std::string script_words(const std::vector<Act>& all, const std::vector<usize>& chosen) {
  std::string words;
  usize key = 0;
  for (const usize i : chosen) {
    words += fmt::format("{}{}:{}{}", words.empty() ? "" : ",", i + 1, key,
                         all[i].extended ? ":ext" : "");
    key += all[i].costs_the_key() ? 1 : 0;
  }
  return words;
}

class SevGuestHostileHost : public testing::Test {
 protected:
  // One boot; the exchanges afterwards in exchanges().
  void boot(const std::vector<Act>& all, const std::vector<usize>& chosen) {
    GuestOptions options = guest_.options_for("act.sh");
    options.append += " softsnp.acts=" + script_words(all, chosen);
    options.unobserved = true;
    options.certificates = std::vector<u8>(24);
    std::vector<Lie> lies(all.size());
    std::transform(all.begin(), all.end(), lies.begin(), [](const Act& act) { return act.lie; });
    options.host = [&lies](machine::HostPort& port) {
      return std::make_unique<LyingMessenger>(port, sign_port, std::move(lies));
    };
    run_ = std::make_unique<GuestRun>(std::move(options));
    run_->run();
    lines_ = std::make_unique<GuestLines>(run_->output());
    const std::string& all_output = run_->output();
    ASSERT_TRUE(lines_->complete())
        << run_->outcome().text << "\n"
        << all_output.substr(all_output.size() - std::min<usize>(all_output.size(), 3000));
  }
  // Messages that went by during that act, in order.
  std::vector<LyingMessenger::Exchange> exchanges(usize act) const {
    std::vector<LyingMessenger::Exchange> found;
    for (const auto& exchange : static_cast<LyingMessenger&>(*run_->hostile()).exchanges()) {
      if (exchange.lie == act + 1) {
        found.push_back(exchange);
      }
    }
    return found;
  }
  const GuestCall& call(const char* when, usize act) const {
    return lines_->call(fmt::format("{}-{}", when, act + 1));
  }
  bool log_as_expected(const Expected& expected, usize act) const {
    const std::string log = lines_->log(std::to_string(act + 1));
    // Loading the driver says a line of its own.
    const bool quiet =
        log.find("Detected") == std::string::npos && log.find("Disabling") == std::string::npos;
    return (!expected.log.empty() || quiet) &&
           std::all_of(expected.log.begin(), expected.log.end(),
                       [&log](const char* text) { return log.find(text) != std::string::npos; });
  }
  void judge(const Act& act, usize index) {
    const Expected& expected = act.expected;
    const GuestCall &during = call("act", index), &after = call("after", index),
                    &again = call("again", index);
    const std::string seen = text_of(during, after, again);
    const bool ok = call("before", index).ok() && during.error == expected.error &&
                    during.exit_info2 == expected.exit_info2 &&
                    after.error == expected.error_after && again.error == expected.error_again &&
                    again.result != -2 && log_as_expected(expected, index) &&
                    !exchanges(index).empty();
    std::printf("%-38s | %-48s | %s | %s\n", act.lie.name, text_of(expected).c_str(),
                ok ? "ok " : "BAD", seen.c_str());
    std::fflush(stdout);
    EXPECT_TRUE(ok) << act.lie.name << ": " << seen << "\n"
                    << lines_->log(std::to_string(index + 1)) << "\n"
                    << exchanges(index).size() << " messages";
  }

  LinuxGuest guest_;
  std::unique_ptr<GuestRun> run_;
  std::unique_ptr<GuestLines> lines_;
};

usize distinct_requests(const std::vector<LyingMessenger::Exchange>& exchanges) {
  std::set<std::array<u8, page_size>> requests;
  for (const auto& exchange : exchanges) {
    requests.insert(exchange.request);
  }
  return requests.size();
}

// Every 2 s the very same message, for 60 s.
void expect_patience(const std::vector<LyingMessenger::Exchange>& exchanges, u64 hz) {
  EXPECT_EQ(distinct_requests(exchanges), 1u) << "one message, unchanged";
  for (usize i = 1; i < exchanges.size(); ++i) {
    const double seconds =
        static_cast<double>(exchanges[i].time - exchanges[i - 1].time) / static_cast<double>(hz);
    EXPECT_NEAR(seconds, 2.0, 0.2);
  }
}

TEST_F(SevGuestHostileHost, TheDriverDoesWhatItsSourceSays) {
  ASSERT_TRUE(guest_.is_there()) << "run scripts/fetch_kernels.sh and scripts/make_initramfs.sh";
  const std::vector<Act> all = acts();
  std::printf("%-38s | %-48s | ok? | seen\n", "act", "expected");
  for (const std::vector<usize>& chosen : boots(all)) {
    boot(all, chosen);
    for (const usize index : chosen) {
      judge(all[index], index);
      if (all[index].lie.exit_info2 != exit_info2(GuestRequestError::busy)) {
        continue;
      }
      expect_patience(exchanges(index), run_->machine().port().tsc_frequency_hz());
      const usize for_ever = 31;
      EXPECT_EQ(exchanges(index).size(), all[index].lie.times == 3 ? 3 : for_ever);
    }
  }
  // The last act: the length that the host claims reaches the caller.
  EXPECT_EQ(call("act", all.size() - 1).values.at("certs_len"),
            std::to_string(pages_claimed * page_size));
}

TEST_F(SevGuestHostileHost, AThrottledGuestWaitsAndGetsItsAnswers) {
  ASSERT_TRUE(guest_.is_there()) << "run scripts/fetch_kernels.sh and scripts/make_initramfs.sh";
  GuestOptions options = guest_.options_for("throttled.sh");
  options.unobserved = true;
  options.certificates = std::vector<u8>(5000, 0x11);
  options.guest_requests_per_second = 1;
  options.host = [](machine::HostPort& port) {
    return std::make_unique<LyingMessenger>(port, sign_port, std::vector<Lie>{});
  };
  run_ = std::make_unique<GuestRun>(std::move(options));
  run_->run();
  const GuestLines lines(run_->output());
  ASSERT_TRUE(lines.complete()) << run_->outcome().text;
  EXPECT_TRUE(lines.call("first").ok());
  EXPECT_TRUE(lines.call("second").ok()) << lines.call("second").text();
  EXPECT_EQ(lines.call("short").exit_info2, exit_info2(GuestRequestError::invalid_length));
  EXPECT_TRUE(lines.call("third").ok()) << lines.call("third").text();
  const auto& past = static_cast<LyingMessenger&>(*run_->hostile()).exchanges();
  ASSERT_EQ(past.size(), 4u) << "each reached the firmware once";
  for (usize i = 1; i < past.size(); ++i) {
    const u64 hz = run_->machine().port().tsc_frequency_hz();
    EXPECT_GE(past[i].time - past[i - 1].time, hz);
    EXPECT_LE(past[i].time - past[i - 1].time, 3 * hz);
  }
}

}  // namespace
}  // namespace softsnp::end_to_end
